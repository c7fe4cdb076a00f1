package region

import (
	"errors"
	"fmt"
	"io/fs"
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
// the way that suits the access, and says which one it is.
func (r *Region) mapDevice(offset int64, length int) (mapping []byte, how string, err error) {
	d := device(r.spec.PCI)
	if err := d.enable(); err != nil {
		return nil, "", err
	}
	// Locks are taken on r.fd, that is on resource2, whichever is mapped.
	var uncached, combining []byte
	defer func() {
		for _, m := range [][]byte{uncached, combining} {
			if m != nil && (err != nil || addressOf(m) != addressOf(mapping)) {
				unmapPages(m)
			}
		}
	}()
	if deviceOrder {
		if uncached, err = mapPages(r.fd, r.spec.Path, offset, length, r.access); err != nil {
			return nil, "", mapHint(err)
		}
	}
	combining, err = r.mapCombining(d, offset, length)
	switch {
	case errors.Is(err, fs.ErrNotExist) && uncached == nil:
		return nil, "", fmt.Errorf("BAR 2 of device %s is not prefetchable: %s would be mapped as Device memory, which takes no unaligned access: %w", d, memoryFile, err)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, "", err
	}
	return choose(uncached, combining, r.access)
}

// mapCombining maps resource2_wc; [fs.ErrNotExist] where there is none.
func (r *Region) mapCombining(d device, offset int64, length int) ([]byte, error) {
	path := d.file(combiningFile)
	fd, err := openPath(path, r.access)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd) // the mapping stays
	m, err := mapPages(fd, r.spec.Path, offset, length, r.access)
	return m, mapHint(err)
}

// mapHint explains the refusal that a distribution's defaults can cause.
func mapHint(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w (a kernel in lockdown, as with secure boot, lets nobody map PCI memory)", err)
	}
	return err
}

// choose takes one of the mappings of the same memory; either may be nil, not
// both. The text is that of [Region.Mapping].
func choose(uncached, combining []byte, access Access) (mapping []byte, how string, err error) {
	if uncached != nil {
		s, err := measure(uncached)
		switch {
		case err != nil:
			return nil, "", err
		case s.cached:
			return uncached, "cached, " + s.String(), nil
		case combining == nil || access != ReadWrite:
			return uncached, "uncached, " + s.String(), nil
		}
	}
	s, err := measure(combining)
	switch {
	case err != nil:
		return nil, "", err
	case s.cached && uncached == nil:
		return combining, "cached, " + s.String(), nil
	}
	return combining, "write-combining, " + s.String(), nil
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
