package region

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"
)

// Guard runs f. When f touches memory of a region that is not there, f ends there
// and Guard returns an error that wraps [ErrFault], names the file and says why, as
// far as that can be found out: see the reasons of ErrFault. Every other panic passes
// through, in particular a fault at an address that belongs to no open region.
//
// The price is one deferred call: wrap a loop, not each access. It covers the
// calling goroutine only, not those that f starts.
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
			err = s.region.why(offset)
		}
	}()
	f()
	return nil
}

// mapped remembers which addresses belong to open regions; Guard asks only
// after a fault.
var mapped struct {
	sync.Mutex
	spans map[uintptr]span // by first address
}

type span struct {
	size   uintptr
	path   string
	region *Region // nil until it is open
	start  int64   // of the span in the file; 0 until it is open
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

// claim tells whose mapping it is, once the region is open.
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

// owner returns the span that addr lies in, and where in its file that is.
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
