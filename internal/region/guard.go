package region

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"
)

// Guard runs f. If f accesses memory of a region that is gone, f ends there and
// Guard returns an error that wraps [ErrFault], names the file and gives the
// reason if it is known. Any other panic passes through, including a fault at
// an address outside open regions.
//
// Guard costs one deferred call: wrap a loop, not each access. It covers only
// the calling goroutine, not those that f starts.
func Guard(f func()) (err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		v := recover()
		if v == nil {
			return
		}
		fault, ok := v.(interface {
			runtime.Error
			Addr() uintptr
		})
		if !ok {
			panic(v)
		}
		s, offset, ok := owner(fault.Addr())
		switch {
		case !ok:
			panic(v)
		case s.region == nil:
			err = fmt.Errorf("%s: %w", s.path, ErrFault)
		default:
			err = s.region.diagnose(offset)
		}
	}()
	f()
	return nil
}

// mapped records which addresses belong to open regions. Guard uses it only
// after a fault.
var mapped struct {
	sync.Mutex
	spans map[uintptr]span // by first address
}

type span struct {
	size   uintptr
	path   string
	region *Region // nil until the region is open
	start  int64   // offset of the span in the file; 0 until the region is open
}

func addressOf(mapping []byte) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(mapping)))
}

func remember(mapping []byte, path string) {
	mapped.Lock()
	defer mapped.Unlock()
	if mapped.spans == nil {
		mapped.spans = make(map[uintptr]span)
	}
	mapped.spans[addressOf(mapping)] = span{size: uintptr(len(mapping)), path: path}
}

// claim records that the mapping belongs to r, once r is open.
func (r *Region) claim() {
	mapped.Lock()
	defer mapped.Unlock()
	first := addressOf(r.mapping)
	s := mapped.spans[first]
	s.region, s.start = r, r.spec.Offset-int64(len(r.mapping)-len(r.bytes))
	mapped.spans[first] = s
}

func forget(mapping []byte) {
	mapped.Lock()
	defer mapped.Unlock()
	delete(mapped.spans, addressOf(mapping))
}

// owner returns the span that contains addr, and the offset of addr in its
// file.
func owner(addr uintptr) (s span, offset int64, ok bool) {
	mapped.Lock()
	defer mapped.Unlock()
	for first, s := range mapped.spans {
		if addr >= first && addr-first < s.size {
			return s, s.start + int64(addr-first), true
		}
	}
	return span{}, 0, false
}
