package region

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// sysfs offers two ways to map a device's memory. Which memory type each of
// them has is up to the hypervisor. If it ignores what the guest asks for (KVM
// on most Intel processors, software emulation), both are ordinary cached
// memory. If not (KVM on AMD processors, Xen), one is uncached and the other
// write-combining. So we measure how fast the memory is to read.
//
//	                  resource2          resource2_wc
//	reads as fast
//	as our memory     used: cached       not needed
//	reads slowly      used for in        used for out
//
// Reading disturbs nothing. Writing would: we do not hold the lock yet, and the
// peer may be reading. It would not tell us anything either. Write-combining
// memory is written in parts of a cache line, uncached memory store by store,
// so of these two the former is better for writing.
//
// An in-channel is not mapped write-combining on amd64, although reads might be
// faster: such loads may be reordered, and the reader relies on the load order
// of the processor, without a fence (docs/ordering.md). Stores to
// write-combining memory may be reordered as well, but not across the XCHG with
// which a writer stores each counter: locked instructions drain the
// write-combining buffers.
//
// On arm64 resource2 is Device memory, which faults on unaligned accesses such
// as those of memmove. resource2_wc is Normal memory, at least non-cacheable,
// and the fences that order accesses there apply to it. So arm64 always uses
// that.

// deviceOrder says whether the uncached mapping can be accessed like any other
// memory, while a write-combining one is not ordered enough to read from.
var deviceOrder = runtime.GOARCH == "amd64"

// mapDevice maps length bytes of BAR 2 from offset on, which must be
// page-aligned, in the way that suits the access. how is the result of
// [Region.Mapping].
//
// The two mappings never exist at the same time: Linux gives all mappings of a
// page the memory type of the first one, so the second would silently get the
// same type (arch/x86/mm/pat/memtype.c). This also applies between processes: a
// window that another process of this machine has mapped already gets the same
// memory type. That only happens if both ends of a channel are on one machine,
// where a file is the better channel.
func (r *Region) mapDevice(offset int64, length int) (mapping []byte, how string, err error) {
	d := device(r.spec.PCI)
	if err := d.enable(); err != nil {
		return nil, "", err
	}
	if deviceOrder {
		// The locks are on r.fd, that is, resource2, whichever is
		// mapped.
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
		return nil, "", fmt.Errorf("BAR 2 of device %s is not prefetchable: it would be mapped as Device memory, which does not support unaligned accesses", d)
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

// combines reports whether BAR 2 can be mapped write-combining.
func (d device) combines() bool {
	_, err := os.Stat(d.file(combiningFile))
	return err == nil
}

// mapMeasured maps a file of BAR 2 and measures how fast it is to read.
func (r *Region) mapMeasured(fd int, offset int64, length int) ([]byte, speed, error) {
	m, err := mapPages(fd, r.spec.Path, offset, length, r.access)
	if errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("%w (kernel lockdown, as with secure boot, forbids mapping PCI memory)", err)
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
	// The measurement reads sampleSize bytes, sampleRuns times, and uses
	// the fastest run, as slower ones were interrupted. At the 50 MB/s of
	// uncached memory it takes 3 ms.
	sampleSize = 16 << 10
	sampleRuns = 8
	// cachedRatio is how many times slower than our own memory a mapping
	// may be and still count as cached. Uncached memory is some 50 times
	// slower.
	cachedRatio = 8
)

// speed is the speed of reading memory.
type speed struct {
	rate   int64 // MB/s
	cached bool  // about as fast as our own memory
}

func (s speed) String() string { return fmt.Sprintf("reads %d MB/s", s.rate) }

// measure reads the beginning of a mapping. The error is an [ErrFault].
func measure(m []byte) (s speed, err error) {
	sample := m[:min(len(m), sampleSize)]
	own := make([]byte, len(sample))
	for i := 0; i < len(own); i += os.Getpagesize() {
		own[i] = 1 // otherwise all its pages would be the zero page
	}
	err = Guard(func() {
		t := max(readTime(sample), 1)
		s = speed{rate: int64(len(sample)) * 1000 / int64(t), cached: t <= cachedRatio*readTime(own)}
	})
	return s, err
}

// readTime returns how long it takes to copy mem out, element by element. A
// test replaces it. Single large copies would use string instructions, which
// read uncached memory byte by byte.
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
