package region

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muennet/muennet/internal/names"
	"golang.org/x/sys/unix"
)

// DefaultMode is the default mode of channel files.
const DefaultMode os.FileMode = 0o600

// Create creates the channel file name of size bytes in dir, all zero, with
// exactly this mode (permission bits; the umask does not matter). It creates
// dir with mode 0755 if that is missing. An absolute path is used as it is; its
// directory must exist. The directory must belong to root or to the user of
// this process. The memory is allocated at once: a full file system is an error
// here instead of a fault later. An existing file, or a symbolic link of that
// name, is [fs.ErrExist]. On error no file remains.
//
// [names.CheckNewFile] has the rules for the name.
func Create(dir, name string, size int64, mode os.FileMode) error {
	if err := create(dir, name, size, mode); err != nil {
		return fmt.Errorf("create channel %s: %w", name, err)
	}
	return nil
}

// CreateMissing is [Create] where no file of that name exists, whatever that
// is, and otherwise does nothing. made tells which.
func CreateMissing(dir, name string, size int64, mode os.FileMode) (made bool, err error) {
	path := name
	if !filepath.IsAbs(name) {
		path = filepath.Join(dir, name)
	}
	if _, err := os.Lstat(path); err == nil {
		return false, nil
	}
	err = Create(dir, name, size, mode)
	if errors.Is(err, fs.ErrExist) { // made since
		return false, nil
	}
	return err == nil, err
}

// CheckFile returns an error unless the channel file name of dir, as in
// [Create], has exactly this size in bytes and these permission bits. The error
// says which differs.
func CheckFile(dir, name string, size int64, mode os.FileMode) error {
	if err := checkFile(dir, name, size, mode); err != nil {
		return fmt.Errorf("channel %s exists: %w", name, err)
	}
	return nil
}

func checkFile(dir, name string, size int64, mode os.FileMode) error {
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		return fmt.Errorf("stat %s: %w", name, err)
	}
	if err := checkKind(&st); err != nil {
		return err
	}
	if err := checkOwner(name, &st); err != nil {
		return err
	}
	var differ []string
	if st.Size != size {
		differ = append(differ, fmt.Sprintf("size %d, not %d", st.Size, size))
	}
	if have := os.FileMode(st.Mode & 0o777); have != mode {
		differ = append(differ, fmt.Sprintf("mode %04o, not %04o", uint32(have), uint32(mode)))
	}
	if len(differ) > 0 {
		return errors.New(strings.Join(differ, ", "))
	}
	return nil
}

func create(dir, name string, size int64, mode os.FileMode) (err error) {
	given, absolute := name, filepath.IsAbs(name)
	if absolute {
		dir, name = filepath.Split(name)
	}
	if err := names.CheckNewFile(given); err != nil {
		return err
	}
	if size < MinSize {
		return fmt.Errorf("size %d: want at least %d bytes", size, MinSize)
	}
	if mode&^os.ModePerm != 0 {
		return fmt.Errorf("mode %v: want permission bits only", mode)
	}
	if isMuenfs(dir) {
		return fmt.Errorf("%s is a muenfs: the system's policy defines its channels", dir)
	}
	if !absolute {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err // names the directory
		}
	}
	d, err := openDirectory(dir, unix.O_PATH)
	var errno unix.Errno
	switch {
	case errors.As(err, &errno):
		return fmt.Errorf("in %s: %w", dir, err)
	case err != nil:
		return err // it names the directory
	}
	defer unix.Close(d)
	if err := checkCreator(d, dir); err != nil {
		return err
	}
	fd, err := openAt(d, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, uint32(mode))
	if err != nil {
		return fmt.Errorf("in %s: %w", dir, err)
	}
	defer func() {
		if e := unix.Close(fd); err == nil && e != nil {
			err = fmt.Errorf("close %s: %w", name, e)
		}
		if err != nil {
			unix.Unlinkat(d, name, 0)
		}
	}()
	if err := unix.Fchmod(fd, uint32(mode)); err != nil {
		return fmt.Errorf("set mode %v: %w", mode, err)
	}
	if err := retry(func() error { return unix.Ftruncate(fd, size) }); err != nil {
		return fmt.Errorf("set size %d: %w", size, err)
	}
	if err := retry(func() error { return unix.Fallocate(fd, 0, 0, size) }); err != nil {
		return fmt.Errorf("reserve %d bytes in %s: %w", size, dir, err)
	}
	return nil
}

// Info describes a channel file.
type Info struct {
	// Name is the name in the channel directory.
	Name string
	// Size is in bytes.
	Size int64
	// Mode is the mode of the file.
	Mode os.FileMode
	// Writer is the pid of a process that holds the writer's lock on the
	// file or on a window of it, 0 if none is visible. List does not look.
	Writer int
}

// List returns the channels in dir, sorted by name: its regular files, however
// small. It does not follow symbolic links, and does not open or lock channels.
// A missing directory is [fs.ErrNotExist]. It does not look for writers.
func List(dir string) ([]Info, error) {
	infos, _, err := list(dir)
	if err != nil {
		return nil, fmt.Errorf("list channels: %w", err)
	}
	return infos, nil
}

// ListWriters is List with writers. It looks for them through the open files of
// all processes.
func ListWriters(dir string) ([]Info, error) {
	infos, ids, err := list(dir)
	if err != nil {
		return nil, fmt.Errorf("list channels: %w", err)
	}
	index := make(map[fileID][]int) // hard links share one file
	inodes := make(map[uint64]bool)
	for i, id := range ids {
		index[id] = append(index[id], i)
		inodes[id.ino] = true
	}
	scanLocks(func(ino uint64) bool { return inodes[ino] }, func(pid int, id fileID, l heldLock) {
		if !l.write {
			return
		}
		for _, i := range index[id] {
			infos[i].Writer = pid
		}
	})
	return infos, nil
}

// list returns the channels in dir, and which file each is.
func list(dir string) ([]Info, []fileID, error) {
	absent := filepath.Clean(dir) == muenfsDir && !isMuenfs(dir)
	fd, err := openDirectory(dir, unix.O_RDONLY)
	if absent && errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w: %w", notMounted(), fs.ErrNotExist)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", dir, err)
	}
	d := os.NewFile(uintptr(fd), dir)
	defer d.Close()
	entries, err := d.Readdirnames(-1)
	if err != nil {
		return nil, nil, err
	}
	if absent && len(entries) == 0 {
		return nil, nil, fmt.Errorf("%w: %w", notMounted(), fs.ErrNotExist)
	}
	slices.Sort(entries)
	var infos []Info
	var ids []fileID
	for _, name := range entries {
		var st unix.Stat_t
		if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); errors.Is(err, fs.ErrNotExist) {
			continue // removed since
		} else if err != nil {
			return nil, nil, fmt.Errorf("stat %s: %w", filepath.Join(dir, name), err)
		}
		if checkKind(&st) != nil {
			continue
		}
		infos = append(infos, Info{Name: name, Size: st.Size, Mode: os.FileMode(st.Mode & 0o777)})
		ids = append(ids, idOf(&st))
	}
	return infos, ids, nil
}

// shellWord quotes s for a shell if necessary, so that commands in error
// messages can be pasted. Channel names often contain a '|'.
func shellWord(s string) string {
	plain := func(c rune) bool {
		return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.ContainsRune("/._-+:%", c)
	}
	if s != "" && strings.IndexFunc(s, func(c rune) bool { return !plain(c) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
