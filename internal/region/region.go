package region

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// MinSize is the size in bytes of the smallest region: a channel's header.
const MinSize = 64

// Access is what a region is opened for.
type Access uint8

const (
	// ReadOnly maps the region so that a store into it faults.
	ReadOnly Access = iota
	// ReadWrite maps it for a channel's writer.
	ReadWrite
)

// Region is an open piece of shared memory. [Open] makes it; whoever opened it
// calls [Region.Close].
type Region struct {
	spec   Spec
	name   string
	access Access
	kind   Kind
	// mapping covers whole pages, bytes is the part of it that was asked for.
	mapping, bytes []byte

	mu     sync.Mutex // guards fd and locked
	fd     int        // -1 once closed
	locked bool       // we hold the writer's lock
}

// Open maps the region that spec names (see [ParseSpec]; dir is the channel
// directory). The file must be a regular one that holds at least [MinSize]
// bytes, or the whole window. The error for a missing file is
// [fs.ErrNotExist] and names the command that creates it.
func Open(dir, spec string, access Access) (*Region, error) {
	s, err := ParseSpec(dir, spec)
	if err != nil {
		return nil, err
	}
	fd, err := openFile(s, access)
	if err != nil {
		return nil, fmt.Errorf("open channel %s: %w", spec, err)
	}
	r := &Region{spec: s, name: spec, access: access, fd: fd}
	if err := r.mapFile(); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open channel %s: %w", spec, err)
	}
	remember(r.mapping, s.Path)
	return r, nil
}

// openFile opens the file of s. It stays away from os.File: that would put the
// descriptor under Go's poller, and a poll of some channel files takes hold of
// the channel's interrupt. O_NONBLOCK keeps a FIFO from hanging us here.
func openFile(s Spec, access Access) (int, error) {
	flags := unix.O_RDONLY
	if access == ReadWrite {
		flags = unix.O_RDWR
	}
	fd := -1
	err := retry(func() (err error) {
		fd, err = unix.Open(s.Path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		return err
	})
	if err == nil {
		return fd, nil
	}
	// Some kinds of file cannot even be opened: say what it is, not ENXIO.
	var st unix.Stat_t
	if unix.Stat(s.Path, &st) == nil {
		if err := checkKind(&st); err != nil {
			return -1, err
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return -1, missing(s, err)
	}
	if access == ReadWrite {
		return -1, fmt.Errorf("for writing: %w", err)
	}
	return -1, fmt.Errorf("for reading: %w", err)
}

// missing says where the file was looked for and how to make it.
func missing(s Spec, err error) error {
	dir, name := filepath.Split(s.Path)
	dir = filepath.Clean(dir)
	size := max(s.Offset+s.Length, 1<<20)
	option := ""
	if dir != DefaultDir() {
		option = "--channels " + shellWord(dir) + " "
	}
	return fmt.Errorf("not in %s; to create it: muennet %schannel create %s --size %s: %w",
		dir, option, shellWord(name), formatSize(size), err)
}

// mapFile checks the open file and maps the region.
func (r *Region) mapFile() error {
	var st unix.Stat_t
	if err := unix.Fstat(r.fd, &st); err != nil {
		return fmt.Errorf("stat %s: %w", r.spec.Path, err)
	}
	if err := checkKind(&st); err != nil {
		return err
	}
	offset, length := r.spec.Offset, r.spec.Length
	if !r.spec.Windowed {
		length = st.Size
	}
	if length < MinSize {
		return fmt.Errorf("%d bytes are too small: a channel's header alone takes %d", length, MinSize)
	}
	if offset+length > st.Size {
		return fmt.Errorf("the window ends at byte %d, the file at %d", offset+length, st.Size)
	}
	// mmap wants whole pages: begin at the page that holds the first byte.
	skip := offset % int64(os.Getpagesize())
	if skip+length > math.MaxInt {
		return fmt.Errorf("%d bytes do not fit in the address space", length)
	}
	prot := unix.PROT_READ
	if r.access == ReadWrite {
		prot |= unix.PROT_WRITE
	}
	m, err := unix.Mmap(r.fd, offset-skip, int(skip+length), prot, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map %d bytes: %w", length, err)
	}
	r.mapping = m
	r.bytes = m[skip:]
	return nil
}

// checkKind refuses everything but regular files.
func checkKind(st *unix.Stat_t) error {
	kind := ""
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return nil
	case unix.S_IFDIR:
		kind = "directory"
	case unix.S_IFCHR:
		kind = "character device"
	case unix.S_IFBLK:
		kind = "block device"
	case unix.S_IFIFO:
		kind = "FIFO"
	case unix.S_IFSOCK:
		kind = "socket"
	default:
		kind = fmt.Sprintf("file of mode %#o", st.Mode)
	}
	return fmt.Errorf("it is a %s: want a regular file", kind)
}

// Bytes returns the region's memory, valid until Close and shared with the
// peer. Touch it under [Guard]; a store needs [ReadWrite]. The first byte is
// aligned to 8.
func (r *Region) Bytes() []byte { return r.bytes }

// Path returns the path of the file, without the window.
func (r *Region) Path() string { return r.spec.Path }

// Name returns the spec the region was opened by.
func (r *Region) Name() string { return r.name }

// Size returns the number of bytes, [MinSize] or more.
func (r *Region) Size() int { return len(r.bytes) }

// Intact reports an error when the file does not cover the region any more. Nil
// holds for the moment of the call only: it is how to find out, from time to
// time, what an access would find out by a fault.
func (r *Region) Intact() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fd < 0 {
		return fmt.Errorf("check channel %s: %w", r.name, os.ErrClosed)
	}
	var st unix.Stat_t
	if err := unix.Fstat(r.fd, &st); err != nil {
		return fmt.Errorf("check channel %s: %w", r.name, err)
	}
	if end := r.spec.Offset + int64(len(r.bytes)); st.Size < end {
		return fmt.Errorf("check channel %s: %w: the file has %d bytes, %d are in use", r.name, ErrFault, st.Size, end)
	}
	return nil
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
	forget(r.mapping)
	err := unix.Munmap(r.mapping)
	if e := unix.Close(r.fd); err == nil {
		err = e
	}
	r.fd = -1
	if err != nil {
		return fmt.Errorf("close channel %s: %w", r.name, err)
	}
	return nil
}

// retry repeats a system call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
