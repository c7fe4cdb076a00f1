package region

import (
	"errors"
	"fmt"
	"math"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// MinSize is the size of the smallest region in bytes: the header of a channel.
const MinSize = 64

// ErrTooSmall says that a file or the memory of a device ends before the region
// does, or holds less than [MinSize] bytes. A file may still grow.
var ErrTooSmall = errors.New("region is too small")

// sizeError is an [ErrTooSmall] with details.
type sizeError string

func (e sizeError) Error() string { return string(e) }

func (e sizeError) Is(target error) bool { return target == ErrTooSmall }

// Access is the purpose for which a region is opened.
type Access uint8

const (
	// ReadOnly maps the region read-only, so that stores fault, for the
	// reader of an in-channel. On a muenfs it refuses channels that this
	// system may write, because these have the other direction.
	ReadOnly Access = iota
	// ReadWrite maps the region for a channel's writer. It refuses a file
	// that is neither a channel nor all zeros, because a writer overwrites
	// it.
	ReadWrite
	// Inspect maps the region like ReadOnly, whatever the direction of the
	// channel.
	Inspect
	// Overwrite is ReadWrite for a file with any content.
	Overwrite
)

// Region is an open region of shared memory. [Open] creates it; close it with
// [Region.Close].
type Region struct {
	spec   Spec
	name   string
	access Access // never Overwrite, which becomes ReadWrite and force
	force  bool   // do not check the content of the file
	kind   Kind
	how    string // see Mapping
	owner  uint32 // user ID of the file
	id     fileID // of the open file
	// mapping covers whole pages; bytes is the requested part of it.
	mapping, bytes []byte

	mu     sync.Mutex // guards fd and locked
	fd     int        // -1 once closed
	locked bool       // we hold the writer's lock
}

// Open maps the region that spec names (see [ParseSpec]); dir is the channel
// directory. The file must be a regular one, not a symbolic link, and hold at
// least [MinSize] bytes or the whole window; otherwise the error is
// [ErrTooSmall]. A PCI device must be an ivshmem device. Open enables it if
// necessary, and it stays enabled. A file in /dev/shm/muennet, and that
// directory, must belong to root or to the user of this process. A file to be
// written must hold a channel or zeros ([ErrNoChannel]); Open writes nothing
// before it has checked that. The error for a missing file or device is
// [fs.ErrNotExist] and says what to do.
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

// open does the work of Open, but leaves closing the file to the caller. It
// changes nothing before all checks have passed.
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
	start, skip, length, err := r.layout(st.Size)
	if err != nil {
		return err
	}
	// The policy or the hypervisor decides what a muenfs or a device is
	// used for.
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

// layout computes where the region lies in a file of size bytes: the first byte
// to map, the number of mapped bytes before the region, and its length. mmap
// needs whole pages, so the mapping begins with the page that contains the
// region's first byte.
func (r *Region) layout(size int64) (start int64, skip, length int, err error) {
	first, n := r.spec.Offset, r.spec.Length
	if !r.spec.Windowed {
		n = size
	}
	what := "file"
	if r.kind == PCI {
		what = "device's memory"
	}
	if n < MinSize {
		return 0, 0, 0, sizeError(fmt.Sprintf("%d bytes are too small: a channel's header takes %d", n, MinSize))
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

// mapPages maps length bytes of an open file from offset on, which must be
// page-aligned. [Guard] then handles faults in them, with path in the error.
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

// unmapPages undoes mapPages.
func unmapPages(m []byte) error {
	forget(m)
	return unix.Munmap(m)
}

// Bytes returns the region's memory, which is shared with the peer and valid
// until Close. Access it under [Guard]; stores need [ReadWrite] or [Overwrite].
// The first byte is aligned to 8 bytes.
func (r *Region) Bytes() []byte { return r.bytes }

// Path returns the path of the file, without the window.
func (r *Region) Path() string { return r.spec.Path }

// Owner returns the user who owned the file when it was opened: the name, or
// the number if it has none.
func (r *Region) Owner() string { return userName(r.owner) }

// Foreign reports whether the file belonged to a user other than root and the
// user of this process. Such a user can replace it and change its mode and
// size.
func (r *Region) Foreign() bool { return foreign(r.owner) }

// Mapping returns how the processor accesses a device's memory, and how fast it
// was to read when the region was opened, such as "cached, reads 5200 MB/s" or
// "write-combining, reads 120 MB/s". For files, which are always cached, it is
// "".
func (r *Region) Mapping() string { return r.how }

// Name returns the spec that the region was opened with.
func (r *Region) Name() string { return r.name }

// Size returns the size in bytes, at least [MinSize].
func (r *Region) Size() int { return len(r.bytes) }

// Overlaps reports whether r and other, both open, have bytes in common: they
// lie in the same device, or in the same file under whatever names.
func (r *Region) Overlaps(other *Region) bool {
	if r.id != other.id {
		return false
	}
	a, b := r.spec.Offset, other.spec.Offset
	return a < b+int64(other.Size()) && b < a+int64(r.Size())
}

// Close unmaps the region and releases the writer's lock. Its Bytes must no
// longer be in use. Closing twice does nothing.
func (r *Region) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fd < 0 {
		return nil
	}
	// A child process between fork and exec still has a copy of the
	// descriptor, which would keep the lock. So unlock explicitly.
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
