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
	PID  int    // of that process; 0 when it is not known
}

// Error names the socket and the process.
func (e *InUseError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("control socket %s is in use by another process", e.Path)
	}
	return fmt.Sprintf("control socket %s is in use by pid %d", e.Path, e.PID)
}

// lock is the right to serve one control socket. The kernel takes it back when
// the process dies, however it dies.
type lock struct{ file *os.File }

// acquire takes the lock for the control socket at path, making its directory
// if needed. It does not wait: a lock that is held is an *InUseError.
func acquire(path string) (*lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make directory of control socket: %w", err)
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
		// Its last holder may have removed the file between our open and our
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

// lockMode keeps other users out: to take a flock a descriptor is enough, even one
// that may only read.
const lockMode = 0o600

// openLock opens the lock file, or makes it. One that another user made, or could
// have opened, is not taken as it is.
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

// claim makes sure that f is a plain file that only its owner, root or our own
// uid, may open.
func claim(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a plain file", f.Name())
	}
	if uid := int(info.Sys().(*syscall.Stat_t).Uid); uid != 0 && uid != os.Geteuid() {
		return fmt.Errorf("%s belongs to uid %d", f.Name(), uid)
	}
	if info.Mode().Perm() == lockMode {
		return nil
	}
	return f.Chmod(lockMode)
}

// release removes the lock file and gives the lock back.
func (l *lock) release() error {
	// First the name, then the lock: in the other order a process that has
	// just taken the lock would lose its file.
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

// holder reads the pid that the holder of the lock has left in it; 0 where it is
// that of a process before.
func holder(f *os.File) int {
	var b [16]byte
	n, _ := f.ReadAt(b[:], 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil || pid < 1 || unix.Kill(pid, 0) == unix.ESRCH {
		return 0
	}
	return pid
}
