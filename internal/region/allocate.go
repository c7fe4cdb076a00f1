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
	if err := r.Intact(); err != nil {
		return err
	}
	if err := r.Allocate(); err != nil {
		return err
	}
	if r.kind != Plain {
		return nil
	}
	var sum byte
	return Guard(func() {
		for i := 0; i < len(r.bytes); i += os.Getpagesize() {
			sum += r.bytes[i]
		}
		sum += r.bytes[len(r.bytes)-1]
	})
}
