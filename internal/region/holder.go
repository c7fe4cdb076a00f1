package region

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// fileID identifies a file.
type fileID struct{ dev, ino uint64 }

func idOf(st *unix.Stat_t) fileID { return fileID{uint64(st.Dev), st.Ino} }

// heldLock is a lock of an open file description, as shown in
// /proc/PID/fdinfo/FD. The last byte is inclusive.
type heldLock struct {
	kind        string // FLOCK, OFDLCK or POSIX
	write       bool
	ino         uint64
	first, last int64
}

// parseLock parses the rest of a "lock:" line of fdinfo (proc(5)), such as
//
//	1: FLOCK  ADVISORY  WRITE 4686 fe:00:9977900 0 EOF
//
// It ignores the pid of the process that took the lock, or -1: the path of the
// fdinfo file says who holds it.
func parseLock(line string) (heldLock, bool) {
	f := strings.Fields(line)
	if len(f) != 8 {
		return heldLock{}, false
	}
	l := heldLock{kind: f[1], write: f[3] == "WRITE", last: math.MaxInt64}
	var err error
	if l.ino, err = strconv.ParseUint(f[5][strings.LastIndexByte(f[5], ':')+1:], 10, 64); err != nil {
		return heldLock{}, false
	}
	if l.first, err = strconv.ParseInt(f[6], 10, 64); err != nil {
		return heldLock{}, false
	}
	if f[7] != "EOF" {
		if l.last, err = strconv.ParseInt(f[7], 10, 64); err != nil {
			return heldLock{}, false
		}
	}
	return l, true
}

// scanLocks calls visit for every lock that a visible process holds on a file
// with a wanted inode number.
func scanLocks(wanted func(ino uint64) bool, visit func(pid int, id fileID, l heldLock)) {
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		base := filepath.Join("/proc", p.Name())
		fds, err := os.ReadDir(filepath.Join(base, "fdinfo"))
		if err != nil {
			continue // it has exited, or we may not look
		}
		for _, fd := range fds {
			info, err := os.ReadFile(filepath.Join(base, "fdinfo", fd.Name()))
			if err != nil {
				continue
			}
			for lines := bufio.NewScanner(bytes.NewReader(info)); lines.Scan(); {
				rest, ok := strings.CutPrefix(lines.Text(), "lock:")
				if !ok {
					continue
				}
				l, ok := parseLock(rest)
				if !ok || !wanted(l.ino) {
					continue
				}
				// The device number in the line may differ from
				// that of stat.
				var st unix.Stat_t
				if unix.Stat(filepath.Join(base, "fd", fd.Name()), &st) == nil {
					visit(pid, idOf(&st), l)
				}
			}
		}
	}
}

// holder returns the pid of a process whose lock blocks ours, or 0 if none is
// visible.
func (r *Region) holder() int {
	var st unix.Stat_t
	if unix.Fstat(r.fd, &st) != nil {
		return 0
	}
	self := idOf(&st)
	pid, certain := 0, false
	scanLocks(func(ino uint64) bool { return ino == self.ino }, func(p int, id fileID, l heldLock) {
		// A read lock may be the short probe of a reader: only a
		// fallback.
		if id == self && !certain && r.conflicts(l) && (l.write || pid == 0) {
			pid, certain = p, l.write
		}
	})
	return pid
}

// conflicts reports whether l blocks this region's writer.
func (r *Region) conflicts(l heldLock) bool {
	if l.kind == "FLOCK" {
		return l.write || !r.spec.Windowed
	}
	if !r.spec.Windowed {
		return l.write // such a writer has a shared flock as well
	}
	return l.first < r.spec.Offset+r.spec.Length && l.last >= r.spec.Offset
}
