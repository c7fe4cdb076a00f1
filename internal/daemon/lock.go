package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// InUseError says that another process serves the control socket.
type InUseError struct {
	Path string // of the socket
	PID  int    // of that process; 0 if unknown
}

// Error names the socket and the process.
func (e *InUseError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("control socket %s is in use by another process", e.Path)
	}
	return fmt.Sprintf("control socket %s is in use by pid %d", e.Path, e.PID)
}

// lock is the right to serve a control socket. The kernel releases it when the
// process dies, however it dies.
type lock struct{ file *os.File }

// acquire takes the lock for the control socket at path, and creates its
// directory if needed. It does not wait: if the lock is held, the error is an
// *InUseError.
func acquire(path string) (*lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("create directory of control socket: %w", err)
	}
	name := path + ".lock"
	for {
		f, err := openLock(name)
		if err != nil {
			return nil, fmt.Errorf("lock control socket: %w", err)
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			pid := holder(f)
			f.Close()
			return nil, &InUseError{path, pid}
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock control socket: flock %s: %w", name, err)
		}
		// The last holder may have removed the file between our open and our
		// flock. A lock on a file without a name guards nothing.
		if !sameFile(f, name) {
			f.Close()
			continue
		}
		if err = f.Truncate(0); err == nil {
			_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock control socket: write %s: %w", name, err)
		}
		return &lock{f}, nil
	}
}

// lockMode keeps other users out: any descriptor of the file, even a read-only
// one, would be enough to take the lock.
const lockMode = 0o600

// openLock opens the lock file, or creates it. It does not trust a file that
// another user created or could have opened.
func openLock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, lockMode)
	if err != nil {
		return nil, err
	}
	if err := claim(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// claim ensures that f is a regular file that belongs to root or our own uid,
// and that only its owner may open.
func claim(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", f.Name())
	}
	if uid := int(info.Sys().(*syscall.Stat_t).Uid); uid != 0 && uid != os.Geteuid() {
		return fmt.Errorf("%s belongs to uid %d", f.Name(), uid)
	}
	if info.Mode().Perm() == lockMode {
		return nil
	}
	return f.Chmod(lockMode)
}

// release removes the lock file and releases the lock.
func (l *lock) release() error {
	// First the name, then the lock: otherwise a process that has just taken
	// the lock would lose its file.
	err := os.Remove(l.file.Name())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.file.Close())
}

func sameFile(f *os.File, name string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(name)
	return err == nil && os.SameFile(a, b)
}

// holder returns the pid that the holder of the lock wrote into it; 0 if it is
// that of an earlier process.
func holder(f *os.File) int {
	var b [16]byte
	n, _ := f.ReadAt(b[:], 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil || pid < 1 || unix.Kill(pid, 0) == unix.ESRCH {
		return 0
	}
	return pid
}
