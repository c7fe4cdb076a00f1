package doorbell

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"unsafe"

	"github.com/muennet/muennet/shmstream"
)

// Memory says which bells a channel's memory has: a *region.Region, or a test.
// Where one is asked for, nil stands for plain memory: futexes and nothing else.
type Memory interface {
	// Futex reports whether futex(2) works on the memory.
	Futex() bool
	// EventPath is where the writer raises the channel's event. Empty means that
	// this kind of memory has no events; then Descriptor is not asked for.
	EventPath() string
	// Descriptor is what poll(2) waits on for the channel's event. It stays open
	// until whoever listens is closed.
	Descriptor() int
}

// plain is memory of which nothing else is known.
type plain struct{}

func (plain) Futex() bool       { return true }
func (plain) EventPath() string { return "" }
func (plain) Descriptor() int   { return -1 }

// Words returns the two words of a channel that are rung: the low halves of WC
// and of Epoch. The region must be aligned to 8 bytes and hold a header.
// Machines that muennet runs on are little-endian: the low half comes first.
func Words(region []byte) (wc, epoch *uint32) {
	return (*uint32)(unsafe.Pointer(&region[shmstream.WCOffset])), (*uint32)(unsafe.Pointer(&region[shmstream.EpochOffset]))
}

// words are the two of a channel, as Words returns them.
type words struct{ wc, epoch *uint32 }

func wordsOf(region []byte) *words {
	wc, epoch := Words(region)
	return &words{wc, epoch}
}

// load reads both. False: the region shrank and they are not there any more.
func (w words) load() (wc, epoch uint32, there bool) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		switch v := recover(); {
		case isFault(v):
			there = false
		case v != nil:
			panic(v)
		}
	}()
	return atomic.LoadUint32(w.wc), atomic.LoadUint32(w.epoch), true
}

// isFault reports whether a panic was an access to memory that is not there. Any
// other is a mistake of the program's, and must not be hidden. A nil pointer is
// one of those: the runtime gives it no address.
func isFault(v any) bool {
	_, ok := v.(interface {
		runtime.Error
		Addr() uintptr
	})
	return ok
}

// there reports whether the words can be read.
func (w words) there() bool {
	_, _, there := w.load()
	return there
}

// differ reports whether there is something to look into: other words, or a
// region that is gone, which is for the Listener's owner to find out.
func (w words) differ(wc, epoch uint32) bool {
	nowWC, nowEpoch, there := w.load()
	return !there || nowWC != wc || nowEpoch != epoch
}
