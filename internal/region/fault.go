package region

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrFault says that memory of a region is gone. Each of the reasons below is
// an ErrFault, too.
var ErrFault = errors.New("memory is gone")

// The reasons why memory of a region is gone.
var (
	// ErrShrank says that the file ends before the region does.
	ErrShrank error = cause("the file shrank")
	// ErrNoMemory says that the file has holes, because it is new or pages
	// were punched out, and that there is no memory to fill them: the file
	// system is full, or a quota or the limit of a memory cgroup is
	// reached.
	ErrNoMemory error = cause("no memory left")
	// ErrRemoved says that the PCI device was removed.
	ErrRemoved error = cause("the device was removed")
	// ErrUnreadable says that the file system cannot read the file.
	ErrUnreadable error = cause("the file cannot be read")
)

// cause is a reason for an [ErrFault].
type cause string

func (c cause) Error() string        { return string(c) }
func (c cause) Is(target error) bool { return target == ErrFault }

// diagnose returns the reason why an access to the byte at offset of the file
// faulted; SIGBUS does not tell. The error is an [ErrFault] and names the file.
func (r *Region) diagnose(offset int64) error {
	// The caller may hold the lock. Then the next look finds the reason.
	if !r.mu.TryLock() {
		return fmt.Errorf("%s: %w", r.spec.Path, ErrFault)
	}
	defer r.mu.Unlock()
	return r.explain(offset)
}

// explain is diagnose for callers that hold mu.
func (r *Region) explain(offset int64) error {
	path := r.spec.Path
	if r.fd < 0 {
		return fmt.Errorf("%s: %w", path, ErrFault)
	}
	if err := r.intact(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if r.kind != Plain {
		return fmt.Errorf("%s: %w", path, ErrFault)
	}
	var b [1]byte
	if _, err := unix.Pread(r.fd, b[:], offset); err != nil && err != unix.EINTR {
		return fmt.Errorf("%s: %w: %w", path, ErrUnreadable, err)
	}
	if free, known := r.free(); known && free == 0 {
		return r.noMemory()
	}
	// ENXIO: the file holds no data from here to its end.
	if data, err := unix.Seek(r.fd, offset, unix.SEEK_DATA); err == unix.ENXIO || err == nil && data > offset {
		return fmt.Errorf("%w for the hole at byte %d of %s", ErrNoMemory, offset, path)
	}
	return fmt.Errorf("%s: %w", path, ErrFault)
}

func (r *Region) noMemory() error {
	return fmt.Errorf("%w in the file system of %s", ErrNoMemory, r.spec.Path)
}

// Intact returns an error if the file no longer covers the region ([ErrShrank])
// or the device was removed ([ErrRemoved]), even if it was plugged in again.
// The result only holds for the moment of the call. Use it to detect
// occasionally what an access would detect by a fault.
func (r *Region) Intact() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fd < 0 {
		return fmt.Errorf("check channel %s: %w", r.name, os.ErrClosed)
	}
	if err := r.intact(); err != nil {
		return fmt.Errorf("check channel %s: %w", r.name, err)
	}
	return nil
}

// intact is Intact for an open region. The caller holds mu.
func (r *Region) intact() error {
	var st unix.Stat_t
	if err := kernel.fstat(r.fd, &st); err != nil {
		return err
	}
	if r.kind == PCI && !isAt(&st, r.spec.Path) {
		return ErrRemoved
	}
	return r.covered(st.Size)
}

// covered returns an error unless a file of size bytes covers the region.
func (r *Region) covered(size int64) error {
	if end := r.spec.Offset + int64(len(r.bytes)); size < end {
		return fmt.Errorf("%w: it has %d bytes, %d are in use", ErrShrank, size, end)
	}
	return nil
}
