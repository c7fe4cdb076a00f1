package region

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A reader's probe briefly takes a shared flock. A writer that meets one
// retries this often, with this pause.
const (
	lockTries = 20
	lockPause = time.Millisecond
)

// sleep is replaced by a test.
var sleep = time.Sleep

// HeldError says that a lock of another process blocks a writer.
type HeldError struct {
	// Path is the path of the file.
	Path string
	// PID is the holder as seen by this process; 0 if it is not visible,
	// because it lives in another PID namespace or belongs to another user.
	PID int
	// Shared says that the lock is not a writer's, but only a shared one,
	// such as that of flock -s. Any process that can read the file can hold
	// one.
	Shared bool
}

func (e *HeldError) Error() string {
	switch {
	case e.Shared && e.PID == 0:
		return fmt.Sprintf("channel %s: a process whose pid is not visible from here holds a shared lock on it, as flock -s does, and keeps writers out", e.Path)
	case e.Shared:
		return fmt.Sprintf("channel %s: pid %d holds a shared lock on it, as flock -s does, and keeps writers out", e.Path, e.PID)
	case e.PID == 0:
		return fmt.Sprintf("channel %s: another writer holds it: its pid is not visible from here", e.Path)
	}
	return fmt.Sprintf("channel %s: another writer holds it: pid %d", e.Path, e.PID)
}

// Lock takes the writer's lock and holds it until Close or until the process
// ends. It does not wait for another writer, but may need some 20 ms to tell a
// writer from the probes of readers. If there is another writer the error is a
// [*HeldError]. The region must be open for writing. Locking twice does
// nothing.
func (r *Region) Lock() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.fd < 0:
		return fmt.Errorf("lock channel %s: %w", r.name, os.ErrClosed)
	case r.access != ReadWrite:
		return fmt.Errorf("lock channel %s: it is open read-only", r.name)
	case r.locked:
		return nil
	}
	how := unix.LOCK_EX
	if r.spec.Windowed {
		how = unix.LOCK_SH
	}
	err := r.flock(how | unix.LOCK_NB)
	for try := 1; err == unix.EWOULDBLOCK && try < lockTries; try++ {
		sleep(lockPause)
		err = r.flock(how | unix.LOCK_NB)
	}
	if err == nil && r.spec.Windowed {
		if err = r.rangeLock(unix.F_WRLCK); err != nil {
			r.flock(unix.LOCK_UN)
		}
	}
	switch err {
	case nil:
		r.locked = true
		return nil
	case unix.EWOULDBLOCK, unix.EACCES: // F_OFD_SETLK may return either
		return &HeldError{Path: r.spec.Path, PID: r.holder(), Shared: !r.writerLocked()}
	}
	return fmt.Errorf("lock channel %s: %w", r.name, err)
}

// unlock releases the writer's lock if we hold it.
func (r *Region) unlock() {
	if !r.locked {
		return
	}
	if r.spec.Windowed {
		r.rangeLock(unix.F_UNLCK)
	}
	r.flock(unix.LOCK_UN)
	r.locked = false
}

// WriterLocked reports whether a writer currently holds its lock on this
// region: this Region, or another one with overlapping bytes in this or another
// process. It is false after Close. It does not disturb an active writer; one
// that is just starting retries.
func (r *Region) WriterLocked() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.writerLocked()
}

func (r *Region) writerLocked() bool {
	if r.fd < 0 || r.locked {
		return r.locked
	}
	// Writers of windows. The query takes no lock.
	if lk := r.rangeOf(unix.F_RDLCK); unix.FcntlFlock(uintptr(r.fd), unix.F_OFD_GETLK, &lk) == nil && lk.Type != unix.F_UNLCK {
		return true
	}
	// A writer of the whole file. flock has no query, so take it shared and
	// release it at once.
	err := r.flock(unix.LOCK_SH | unix.LOCK_NB)
	if err == nil {
		r.flock(unix.LOCK_UN)
	}
	return err == unix.EWOULDBLOCK
}

func (r *Region) flock(how int) error {
	return retry(func() error { return unix.Flock(r.fd, how) })
}

// rangeLock sets or clears our open file description lock on the window.
func (r *Region) rangeLock(kind int16) error {
	lk := r.rangeOf(kind)
	return retry(func() error { return unix.FcntlFlock(uintptr(r.fd), unix.F_OFD_SETLK, &lk) })
}

// rangeOf returns the region's range of the file. A Len of 0, as for a whole
// file, means to the end of the file.
func (r *Region) rangeOf(kind int16) unix.Flock_t {
	return unix.Flock_t{Type: kind, Whence: unix.SEEK_SET, Start: r.spec.Offset, Len: r.spec.Length}
}
