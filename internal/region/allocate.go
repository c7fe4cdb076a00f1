package region

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Allocate makes the file system allocate memory for all of a region that is
// open [ReadWrite]. So a full file system is the error [ErrNoMemory] here
// instead of a fault later. The content of the file does not change. Other
// kinds of memory are always allocated. If the file system or a seccomp filter
// does not support it, Allocate does nothing, and the first access may fault.
func (r *Region) Allocate() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fd < 0 {
		return fmt.Errorf("allocate channel %s: %w", r.name, os.ErrClosed)
	}
	return r.allocate()
}

// allocate is Allocate for an open region. The caller holds mu.
func (r *Region) allocate() error {
	if r.access != ReadWrite || r.kind != Plain {
		return nil
	}
	// If the file system fills up during fallocate, it frees what it has
	// allocated so far. In the meantime it would be full for others, so
	// check first.
	if free, known := r.free(); known && r.missing() > free {
		return r.noMemory()
	}
	err := retry(func() error {
		return kernel.fallocate(r.fd, unix.FALLOC_FL_KEEP_SIZE, r.spec.Offset, int64(len(r.bytes)))
	})
	switch err {
	case unix.ENOSPC, unix.EDQUOT, unix.ENOMEM:
		return r.noMemory()
	}
	return nil
}

// free returns how many bytes the file system has left, if it is limited.
func (r *Region) free() (bytes int64, known bool) {
	var st unix.Statfs_t
	if kernel.fstatfs(r.fd, &st) != nil || st.Blocks == 0 || st.Bsize <= 0 {
		return 0, false
	}
	return int64(min(st.Bavail, math.MaxInt64/uint64(st.Bsize))) * st.Bsize, true
}

// missing returns how many bytes of the file have no memory yet. For a window
// it returns 0, the lower bound: the block count does not cover parts of a
// file.
func (r *Region) missing() int64 {
	var st unix.Stat_t
	if r.spec.Windowed || kernel.fstat(r.fd, &st) != nil {
		return 0
	}
	const unit = 512 // of st_blocks, stat(2)
	return int64(len(r.bytes)) - st.Blocks*unit
}

// Restore returns nil if all of the region can be accessed again after a fault;
// otherwise the error, an [ErrFault], says why not. It makes the file system
// fill the holes of the file, and touches each page.
func (r *Region) Restore() error {
	r.mu.Lock() // excludes Close, which unmaps
	defer r.mu.Unlock()
	if r.fd < 0 {
		return fmt.Errorf("restore channel %s: %w", r.name, os.ErrClosed)
	}
	if err := r.intact(); err != nil {
		return fmt.Errorf("check channel %s: %w", r.name, err)
	}
	if err := r.allocate(); err != nil {
		return err
	}
	if r.kind != Plain {
		return nil
	}
	at, sum := 0, byte(0) // sum keeps the compiler from removing the loads
	fault := Guard(func() {
		for ; at < len(r.bytes); at += os.Getpagesize() {
			sum += r.bytes[at]
		}
		at = len(r.bytes) - 1 // the last page of a window that begins within a page
		sum += r.bytes[at]
	})
	if fault != nil {
		return r.explain(r.spec.Offset + int64(at))
	}
	return nil
}
