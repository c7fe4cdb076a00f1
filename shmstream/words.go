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

// words is the header in shared memory. Every access is atomic, also where
// the protocol does not ask for it: that costs nothing and keeps each word whole.
type words struct{ base *[HeaderSize / 8]uint64 }

func (w words) load(i word) uint64     { return atomic.LoadUint64(&w.base[i]) }
func (w words) store(i word, v uint64) { atomic.StoreUint64(&w.base[i], v) }

// control is what Reader and Writer hold. It adds nothing to words here; the
// tests give it load and store methods of its own, which hide the promoted ones
// and step in between any two accesses of the shipped code.
type control struct{ words }

// controlOf checks that region can hold a header and returns it.
func controlOf(region []byte) (control, error) {
	if len(region) < HeaderSize {
		return control{}, fmt.Errorf("use region: %d bytes are less than a header of %d", len(region), HeaderSize)
	}
	p := unsafe.Pointer(unsafe.SliceData(region))
	if uintptr(p)%8 != 0 {
		return control{}, fmt.Errorf("use region: address %#x is not a multiple of 8", uintptr(p))
	}
	return control{words{(*[HeaderSize / 8]uint64)(p)}}, nil
}
