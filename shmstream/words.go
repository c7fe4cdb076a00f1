package shmstream

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// All unsafe code of the package is in this file.

// word is the index of a header word.
type word int

const (
	wordTransport = word(TransportOffset / 8)
	wordEpoch     = word(EpochOffset / 8)
	wordProtocol  = word(ProtocolOffset / 8)
	wordSize      = word(SizeOffset / 8)
	wordElements  = word(ElementsOffset / 8)
	wordReserved  = word(ReservedOffset / 8)
	wordWSC       = word(WSCOffset / 8)
	wordWC        = word(WCOffset / 8)
)

// words is the header in shared memory. Every access is atomic, even where the
// protocol does not require it: that costs nothing and never tears a word.
type words struct{ base *[HeaderSize / 8]uint64 }

func (w words) load(i word) uint64     { return atomic.LoadUint64(&w.base[i]) }
func (w words) store(i word, v uint64) { atomic.StoreUint64(&w.base[i], v) }

// control is embedded in Reader and Writer. In the shipped build it adds
// nothing to words. The tests define load and store on it, which shadow the
// promoted methods, so that they can run code between any two accesses.
type control struct{ words }

// controlOf checks that region can hold a header and returns it.
func controlOf(region []byte) (control, error) {
	if len(region) < HeaderSize {
		return control{}, fmt.Errorf("use region: %d bytes, smaller than the header of %d", len(region), HeaderSize)
	}
	p := unsafe.Pointer(unsafe.SliceData(region))
	if uintptr(p)%8 != 0 {
		return control{}, fmt.Errorf("use region: address %#x is not 8-byte aligned", uintptr(p))
	}
	return control{words{(*[HeaderSize / 8]uint64)(p)}}, nil
}
