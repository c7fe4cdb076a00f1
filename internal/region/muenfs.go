package region

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/muennet/muennet/internal/names"
	"golang.org/x/sys/unix"
)

// muenfsMagic is the f_type of a muenfs in statfs(2) (muenfs, fs.c:
// MUENFS_MAGIC).
const muenfsMagic = 0xd2c82edd

// muenfsDir is the usual mount point of a muenfs. Tests change it.
var muenfsDir = "/muenfs"

var (
	errReadOnly = errors.New("the system's policy lets this subject only read the channel: it can be an in, not an out")
	errWritable = errors.New("the system's policy lets this subject write the channel: it can be an out, not an in")
)

// isMuenfs reports whether path is on a muenfs.
func isMuenfs(path string) bool {
	var st unix.Statfs_t
	return kernel.statfs(path, &st) == nil && uint32(st.Type) == muenfsMagic
}

// kindOf returns the kind of memory of the open file, and refuses it if access
// makes no sense for it.
func (r *Region) kindOf(st *unix.Stat_t) (Kind, error) {
	if r.spec.PCI != "" {
		return PCI, nil
	}
	var in unix.Statfs_t
	if err := retry(func() error { return kernel.fstatfs(r.fd, &in) }); err != nil {
		return Plain, fmt.Errorf("find the file system of %s: %w", r.spec.Path, err)
	}
	switch uint32(in.Type) {
	case muenfsMagic:
		return Muenfs, r.checkDirection(st)
	case unix.SYSFS_MAGIC:
		// The file can be mapped, but would not be treated as device
		// memory.
		return Plain, fmt.Errorf("%s is on a sysfs: want %sBUS:DEV.FN for the memory of a device", r.spec.Path, names.PCIPrefix)
	}
	return Plain, nil
}

// checkDirection refuses to use a muenfs channel against its direction. Its
// mode is 0600 if the policy lets this subject write it, otherwise 0400.
// Reading a channel that this subject may write is refused as well: there the
// peer is the reader, and we would wait for ourselves.
func (r *Region) checkDirection(st *unix.Stat_t) error {
	writable := st.Mode&0o222 != 0
	switch {
	case r.access == ReadWrite && !writable:
		return fmt.Errorf("%s has mode %#o: %w", r.spec.Path, st.Mode&0o777, errReadOnly)
	case r.access == ReadOnly && writable:
		return fmt.Errorf("%s has mode %#o: %w", r.spec.Path, st.Mode&0o777, errWritable)
	}
	return nil
}

// notMounted returns the error for a missing muenfs. Its mount point may be
// missing, or an empty directory.
func notMounted() error {
	return fmt.Errorf("no muenfs is mounted on %s; to mount it: mount -t muenfs none %s", muenfsDir, shellWord(muenfsDir))
}

// missing returns the error for a missing file: where it was searched and what
// can be done.
func missing(s Spec, err error) error {
	if s.PCI != "" {
		return fmt.Errorf("device %s has no BAR 2, and so no shared memory: %w", s.PCI, err)
	}
	dir, name := filepath.Split(s.Path)
	dir = filepath.Clean(dir)
	if isMuenfs(dir) {
		return fmt.Errorf("not in %s, whose channels the system's policy defines%s: %w", dir, namesIn(dir), err)
	}
	if dir == muenfsDir {
		return fmt.Errorf("%w: %w", notMounted(), err)
	}
	size := max(s.Offset+s.Length, 1<<20)
	option := ""
	if dir != DefaultDir() {
		option = "--channels " + shellWord(dir) + " "
	}
	return fmt.Errorf("not in %s; to create it: muennet %schannel create %s --size %s: %w",
		dir, option, shellWord(name), names.FormatSize(size), err)
}

// namesIn lists some of the existing files.
func namesIn(dir string) string {
	const limit = 8
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	if len(entries) == 0 {
		return " (none)"
	}
	var list []string
	for _, e := range entries[:min(len(entries), limit)] {
		list = append(list, shellWord(e.Name()))
	}
	if len(entries) > limit {
		list = append(list, "...")
	}
	return " (" + strings.Join(list, ", ") + ")"
}
