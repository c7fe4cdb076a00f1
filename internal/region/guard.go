package region

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"
)

// ErrFault says that memory of a region is not there any more: its file shrank, or
// its device was removed.
var ErrFault = errors.New("region shrank")

// Guard runs f. When f touches memory of a region that has gone because the
// file under it shrank, or its device was removed, f ends there and Guard returns
// an error that wraps [ErrFault] and names the file. Every other panic passes
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
		path, ok := owner(fault.Addr())
		if !ok {
			panic(v)
		}
		err = fmt.Errorf("%s: %w", path, ErrFault)
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
	size uintptr
	path string
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
	mapped.spans[addressOf(mapping)] = span{uintptr(len(mapping)), path}
}

func forget(mapping []byte) {
	mapped.Lock()
	defer mapped.Unlock()
	delete(mapped.spans, addressOf(mapping))
}

// owner returns the path of the region that addr lies in.
func owner(addr uintptr) (path string, ok bool) {
	mapped.Lock()
	defer mapped.Unlock()
	for first, s := range mapped.spans {
		if addr >= first && addr-first < s.size {
			return s.path, true
		}
	}
	return "", false
}
