package region

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// sysfs offers a device's memory in two ways, and which memory type comes out of
// either is up to the hypervisor. Where it ignores what the guest asks for (KVM
// on most Intel processors, software emulation) both are ordinary cached
// memory. Where it does not (KVM on AMD processors, Xen), one is uncached and
// the other write-combining. So we look how fast the memory is to read.
//
//	                  resource2          resource2_wc
//	reads as fast
//	as our memory     taken: cached      not needed
//	reads slowly      taken for in       taken for out
//
// Reading disturbs nobody. Writing would: the lock is not held yet, and the peer
// may be reading. Nothing would be learnt by it either. Stores to
// write-combining memory leave in pieces of a cache line, those to uncached
// memory one by one, so of these two the first is the better one to write.
//
// An in-channel is not mapped write-combining on amd64, although that might be
// faster to read: such loads may be carried out of order, and what a reader
// needs of their order it has by the processor's rules, without a fence
// (docs/ordering.md). Stores to write-combining memory may be out of order as
// well, but not across the XCHG by which a writer stores each counter: locked
// instructions empty the write-combining buffers.
//
// On arm64 resource2 is Device memory, which faults on accesses that are not
// aligned, as those of memmove are. resource2_wc is Normal memory, non-cacheable
// at least, and the fences that order accesses there cover it. So it is the one
// that is taken, in any case.

// deviceOrder is whether the uncached mapping can be accessed like any memory,
// and a combining one is not ordered enough to read from.
var deviceOrder = runtime.GOARCH == "amd64"

// mapDevice maps length bytes of BAR 2 from offset on, which begins a page, in
// the way that suits the access. The text is that of [Region.Mapping].
//
// The two mappings never exist at once: Linux gives all mappings of a page the
// memory type of the first one, so the second would silently be like it
// (arch/x86/mm/pat/memtype.c). This also holds between processes: who maps a
// window that another process of this machine has mapped gets that memory type.
// It happens only if both ends of a channel are on one machine, where a file is
// the better channel.
func (r *Region) mapDevice(offset int64, length int) (mapping []byte, how string, err error) {
	d := device(r.spec.PCI)
	if err := d.enable(); err != nil {
		return nil, "", err
	}
	if deviceOrder {
		// Locks are taken on r.fd, that is on resource2, whichever is mapped.
		m, s, err := r.mapMeasured(r.fd, offset, length)
		if err != nil {
			return nil, "", err
		}
		if s.cached {
			return m, "cached, " + s.String(), nil
		}
		if r.access != ReadWrite || !d.combines() {
			return m, "uncached, " + s.String(), nil
		}
		if err := unmapPages(m); err != nil {
			return nil, "", fmt.Errorf("unmap %s: %w", r.spec.Path, err)
		}
	} else if !d.combines() {
		return nil, "", fmt.Errorf("BAR 2 of device %s is not prefetchable: it would be mapped as Device memory, which takes no unaligned access", d)
	}
	path := d.file(combiningFile)
	fd, err := openPath(path, r.access)
	if err != nil {
		return nil, "", fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd) // the mapping stays
	m, s, err := r.mapMeasured(fd, offset, length)
	switch {
	case err != nil:
		return nil, "", err
	case s.cached && !deviceOrder:
		return m, "cached, " + s.String(), nil
	}
	return m, "write-combining, " + s.String(), nil
}

// combines tells whether BAR 2 can be mapped write-combining.
func (d device) combines() bool {
	_, err := os.Stat(d.file(combiningFile))
	return err == nil
}

// mapMeasured maps a file of BAR 2 and measures how fast it is read.
func (r *Region) mapMeasured(fd int, offset int64, length int) ([]byte, speed, error) {
	m, err := mapPages(fd, r.spec.Path, offset, length, r.access)
	if errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("%w (a kernel in lockdown, as with secure boot, lets nobody map PCI memory)", err)
	}
	if err != nil {
		return nil, speed{}, err
	}
	s, err := measure(m)
	if err != nil {
		unmapPages(m)
		return nil, speed{}, err
	}
	return m, s, nil
}

const (
	// sampleSize bytes are read to measure, sampleRuns times: the fastest
	// counts, the others were interrupted. At the 50 MB/s of uncached memory it
	// takes 3 ms.
	sampleSize = 16 << 10
	sampleRuns = 8
	// cachedRatio is how many times slower than our own memory a mapping may be
	// read and still be called cached. Uncached memory is some 50 times slower.
	cachedRatio = 8
)

// speed is how fast memory was read.
type speed struct {
	rate   int64 // MB/s
	cached bool  // about as fast as our own memory
}

func (s speed) String() string { return fmt.Sprintf("reads %d MB/s", s.rate) }

// measure reads the beginning of a mapping. The error is [ErrFault].
func measure(m []byte) (s speed, err error) {
	sample := m[:min(len(m), sampleSize)]
	own := make([]byte, len(sample))
	for i := 0; i < len(own); i += os.Getpagesize() {
		own[i] = 1 // or all its pages would be the one page of zeros
	}
	err = Guard(func() {
		t := max(readTime(sample), 1)
		s = speed{rate: int64(len(sample)) * 1000 / int64(t), cached: t <= cachedRatio*readTime(own)}
	})
	return s, err
}

// readTime returns how long it takes to copy mem out, element by element; a
// test has another one. Single large copies would be done by string
// instructions, which read uncached memory byte by byte.
var readTime = func(mem []byte) time.Duration {
	var element [1024]byte
	best := time.Duration(1<<63 - 1)
	for range sampleRuns {
		begin := time.Now()
		for off := 0; off < len(mem); off += len(element) {
			copy(element[:], mem[off:])
		}
		best = min(best, time.Since(begin))
	}
	runtime.KeepAlive(&element)
	return best
}
