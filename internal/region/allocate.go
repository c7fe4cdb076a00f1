package region

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Allocate has the file system give memory to all of a region that is open
// [ReadWrite], so that a full one is the error [ErrNoMemory] here and no fault
// later. What the file holds stays as it is. Other kinds of memory than files
// have it already. Where the file system, or a seccomp filter, knows nothing of
// it, Allocate does nothing, and the first access finds out.
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
	// A file system that fills up within fallocate gives back what it took so
	// far. In between, it would be full for others: ask first.
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

// free returns how many bytes the file system has left, if it has a limit.
func (r *Region) free() (bytes int64, known bool) {
	var st unix.Statfs_t
	if kernel.fstatfs(r.fd, &st) != nil || st.Blocks == 0 || st.Bsize <= 0 {
		return 0, false
	}
	return int64(min(st.Bavail, math.MaxInt64/uint64(st.Bsize))) * st.Bsize, true
}

// missing returns how many bytes of the file have no memory yet. It is 0, which
// is the least, for a window: the file's count says nothing of its parts.
func (r *Region) missing() int64 {
	var st unix.Stat_t
	if r.spec.Windowed || kernel.fstat(r.fd, &st) != nil {
		return 0
	}
	const unit = 512 // of st_blocks, stat(2)
	return int64(len(r.bytes)) - st.Blocks*unit
}

// Restore reports nil when all of the region can be accessed again after a
// fault. Else the error, an [ErrFault], says why not. It has the file system fill
// holes of the file, and touches each page.
func (r *Region) Restore() error {
	r.mu.Lock() // against Close, which unmaps
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
	at, sum := 0, byte(0) // a sum that outlives the loop keeps the compiler from leaving it out
	fault := Guard(func() {
		for ; at < len(r.bytes); at += os.Getpagesize() {
			sum += r.bytes[at]
		}
		at = len(r.bytes) - 1 // of a window that begins within a page
		sum += r.bytes[at]
	})
	if fault != nil {
		return r.explain(r.spec.Offset + int64(at))
	}
	return nil
}
