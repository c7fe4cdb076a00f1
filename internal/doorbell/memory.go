package doorbell

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"unsafe"

	"github.com/muennet/muennet/shmstream"
)

// Memory says which bells the memory of a channel supports. *region.Region
// implements it. A nil Memory stands for plain memory, which has only futexes.
type Memory interface {
	// Futex reports whether futex(2) works on the memory.
	Futex() bool
	// EventPath is the file by which the writer raises the channel's event.
	// It is empty for memory without events; then Descriptor is not called.
	EventPath() string
	// Descriptor is the file descriptor on which poll(2) waits for the
	// channel's event. It stays open until the Listener is closed.
	Descriptor() int
}

// plain is memory with futexes only.
type plain struct{}

func (plain) Futex() bool       { return true }
func (plain) EventPath() string { return "" }
func (plain) Descriptor() int   { return -1 }

// Words returns the two words of a channel that are rung: the low halves of WC
// and Epoch. The region must be aligned to 8 bytes and hold a header. The
// supported machines are little-endian, so the low half comes first.
func Words(region []byte) (wc, epoch *uint32) {
	return (*uint32)(unsafe.Pointer(&region[shmstream.WCOffset])), (*uint32)(unsafe.Pointer(&region[shmstream.EpochOffset]))
}

// words are the two words of a channel, as returned by Words.
type words struct{ wc, epoch *uint32 }

func wordsOf(region []byte) *words {
	wc, epoch := Words(region)
	return &words{wc, epoch}
}

// load reads both words. ok is false if the region shrank and they are gone.
func (w words) load() (wc, epoch uint32, ok bool) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		switch v := recover(); {
		case isFault(v):
			ok = false
		case v != nil:
			panic(v)
		}
	}()
	return atomic.LoadUint32(w.wc), atomic.LoadUint32(w.epoch), true
}

// isFault reports whether a panic was an access to missing memory. Any other
// panic is a bug and must not be hidden. That includes a nil pointer, for which
// the runtime reports no address.
func isFault(v any) bool {
	_, ok := v.(interface {
		runtime.Error
		Addr() uintptr
	})
	return ok
}

// readable reports whether the words can be read.
func (w words) readable() bool {
	_, _, ok := w.load()
	return ok
}

// differ reports whether the words have changed or the region is gone, which
// the owner of the Listener then finds out.
func (w words) differ(wc, epoch uint32) bool {
	nowWC, nowEpoch, ok := w.load()
	return !ok || nowWC != wc || nowEpoch != epoch
}
