package region

import (
	"errors"
	"fmt"
	"math"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// MinSize is the size in bytes of the smallest region: a channel's header.
const MinSize = 64

// ErrTooSmall says that a file, or the memory of a device, ends before the
// region does, or holds less than [MinSize] bytes. A file may grow yet.
var ErrTooSmall = errors.New("region is too small")

// sizeError is [ErrTooSmall] in the words of the case.
type sizeError string

func (e sizeError) Error() string { return string(e) }

func (e sizeError) Is(target error) bool { return target == ErrTooSmall }

// Access is what a region is opened for.
type Access uint8

const (
	// ReadOnly maps the region so that a store into it faults, for the reader
	// of an in-channel. On a muenfs, a channel that this system may write is
	// refused: it goes the other way.
	ReadOnly Access = iota
	// ReadWrite maps it for a channel's writer. A file that is neither a
	// channel nor all zeros is refused, because a writer overwrites it.
	ReadWrite
	// Inspect maps it like ReadOnly, whichever way the channel goes.
	Inspect
	// Overwrite is ReadWrite whatever the file holds.
	Overwrite
)

// Region is an open piece of shared memory. [Open] makes it; whoever opened it
// calls [Region.Close].
type Region struct {
	spec   Spec
	name   string
	access Access // never Overwrite: that is ReadWrite and force
	force  bool   // do not ask what a file holds
	kind   Kind
	how    string // see Mapping
	owner  uint32 // user id, of the file
	id     fileID // of the open file
	// mapping covers whole pages, bytes is the part of it that was asked for.
	mapping, bytes []byte

	mu     sync.Mutex // guards fd and locked
	fd     int        // -1 once closed
	locked bool       // we hold the writer's lock
}

// Open maps the region that spec names (see [ParseSpec]; dir is the channel
// directory). The file must be a regular one, no symbolic link, that holds at
// least [MinSize] bytes, or the whole window: else the error is [ErrTooSmall]. A PCI
// device must be an ivshmem device, and is enabled if it is not yet, and stays
// so. A file in /dev/shm/muennet must belong to root or to the user of this
// process, and so must that directory. A file that is to be written must hold a channel or
// zeros ([ErrNoChannel]); nothing is written before that is known. The error for a
// missing file or device is [fs.ErrNotExist] and says what can be done about it.
func Open(dir, spec string, access Access) (*Region, error) {
	s, err := ParseSpec(dir, spec)
	if err != nil {
		return nil, err
	}
	r := &Region{spec: s, name: spec, access: access, fd: -1}
	if access == Overwrite {
		r.access, r.force = ReadWrite, true
	}
	if err := r.open(); err != nil {
		if r.fd >= 0 {
			unix.Close(r.fd)
		}
		return nil, fmt.Errorf("open channel %s: %w", spec, err)
	}
	r.claim()
	return r, nil
}

// open does it all, but leaves closing to the caller. Nothing changes before
// everything has been checked.
func (r *Region) open() (err error) {
	if r.spec.PCI != "" {
		if err := device(r.spec.PCI).check(); err != nil {
			return err
		}
	}
	if r.fd, err = openFile(r.spec, r.access); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := kernel.fstat(r.fd, &st); err != nil {
		return fmt.Errorf("stat %s: %w", r.spec.Path, err)
	}
	if err := checkKind(&st); err != nil {
		return err
	}
	if err := checkOwner(r.spec.Path, &st); err != nil {
		return err
	}
	r.owner = st.Uid
	r.id = idOf(&st)
	if r.kind, err = r.kindOf(&st); err != nil {
		return err
	}
	start, skip, length, err := r.place(st.Size)
	if err != nil {
		return err
	}
	// What a muenfs or a device is for, the policy or the hypervisor says.
	if r.kind == Plain && r.access == ReadWrite && !r.force {
		if err := r.checkContent(r.spec.Offset, int64(length)); err != nil {
			return err
		}
	}
	if r.kind == PCI {
		r.mapping, r.how, err = r.mapDevice(start, skip+length)
	} else {
		r.mapping, err = mapPages(r.fd, r.spec.Path, start, skip+length, r.access)
	}
	if err != nil {
		return err
	}
	r.bytes = r.mapping[skip:]
	return nil
}

// place finds out where the region lies in a file of size bytes: the first byte
// to map, how many bytes of the mapping come before the region, and its length.
// mmap wants whole pages, so the mapping begins with the page that holds the
// region's first byte.
func (r *Region) place(size int64) (start int64, skip, length int, err error) {
	first, n := r.spec.Offset, r.spec.Length
	if !r.spec.Windowed {
		n = size
	}
	what := "file"
	if r.kind == PCI {
		what = "device's memory"
	}
	if n < MinSize {
		return 0, 0, 0, sizeError(fmt.Sprintf("%d bytes are too small: a channel's header alone takes %d", n, MinSize))
	}
	if first+n > size {
		return 0, 0, 0, sizeError(fmt.Sprintf("the window ends at byte %d, the %s at %d", first+n, what, size))
	}
	before := first % int64(os.Getpagesize())
	if before+n > math.MaxInt {
		return 0, 0, 0, fmt.Errorf("%d bytes do not fit in the address space", n)
	}
	return first - before, int(before), int(n), nil
}

// mapPages maps length bytes of an open file from offset on, which begins a
// page. Accesses to them may fail under [Guard] from now on, with path in the error.
func mapPages(fd int, path string, offset int64, length int, access Access) ([]byte, error) {
	prot := unix.PROT_READ
	if access == ReadWrite {
		prot |= unix.PROT_WRITE
	}
	m, err := kernel.mmap(fd, offset, length, prot, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", length, err)
	}
	remember(m, path)
	return m, nil
}

// unmapPages is the reverse of mapPages.
func unmapPages(m []byte) error {
	forget(m)
	return unix.Munmap(m)
}

// Bytes returns the region's memory, valid until Close and shared with the
// peer. Touch it under [Guard]; a store needs [ReadWrite] or [Overwrite]. The first byte is
// aligned to 8.
func (r *Region) Bytes() []byte { return r.bytes }

// Path returns the path of the file, without the window.
func (r *Region) Path() string { return r.spec.Path }

// Owner returns the user that the file belonged to when it was opened: the name,
// or the number where it has none.
func (r *Region) Owner() string { return userName(r.owner) }

// Foreign tells whether the file belonged to another user than root or the user
// of this process. Such a user can replace it, and change its mode and size.
func (r *Region) Foreign() bool { return foreign(r.owner) }

// Mapping tells how the processor accesses a device's memory, and how fast it
// was read while the region was opened, such as "cached, reads 5200 MB/s" or
// "write-combining, reads 120 MB/s". It is "" for files, which are cached always.
func (r *Region) Mapping() string { return r.how }

// Name returns the spec the region was opened by.
func (r *Region) Name() string { return r.name }

// Size returns the number of bytes, [MinSize] or more.
func (r *Region) Size() int { return len(r.bytes) }

// Overlaps tells whether r and other, both open, have bytes in common: they lie
// in one file, whatever the names that led to it, or in one device.
func (r *Region) Overlaps(other *Region) bool {
	if r.id != other.id {
		return false
	}
	a, b := r.spec.Offset, other.spec.Offset
	return a < b+int64(other.Size()) && b < a+int64(r.Size())
}

// Close unmaps the region and gives up the writer's lock. Nobody may touch its
// Bytes any more. Closing twice does nothing.
func (r *Region) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fd < 0 {
		return nil
	}
	// A child process between fork and exec still has a copy of the descriptor
	// that would keep the lock: let go of it by name.
	r.unlock()
	err := unmapPages(r.mapping)
	if e := unix.Close(r.fd); err == nil {
		err = e
	}
	r.fd = -1
	if err != nil {
		return fmt.Errorf("close channel %s: %w", r.name, err)
	}
	return nil
}
