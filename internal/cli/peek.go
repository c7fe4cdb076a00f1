package cli

import (
	"errors"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/muennet/muennet/shmstream"
)

// slot is a private copy of one element.
type slot struct {
	index uint64 // since the epoch began
	data  []byte
}

// errRestarted says that the writer started a new epoch during the dump.
var errRestarted = errors.New("the writer has just started a new epoch: try again")

// peekMemory bounds the bytes copied for one dump, whatever the header says.
const peekMemory = 64 << 20

// peek copies the last n elements written, oldest first, except those
// overwritten in the process. It trusts nothing it reads: it checks the header
// against the region, and keeps a copy only if the counters confirm it
// afterwards. Call it under region.Guard.
func peek(mem []byte, n uint64) (shmstream.Header, []slot, error) {
	h, err := shmstream.ReadHeader(mem)
	if err != nil {
		return h, nil, err
	}
	if p := problems(h, len(mem)); len(p) > 0 {
		return h, nil, errors.New(strings.Join(p, "; "))
	}
	if h.Epoch == 0 {
		return h, nil, errors.New("it is inactive: no writer has started")
	}
	n = min(n, h.WC, h.Elements, max(peekMemory/h.Size, 1))
	slots := make([]slot, 0, n)
	for i := h.WC - n; i != h.WC; i++ {
		at := shmstream.HeaderSize + i%h.Elements*h.Size
		s := slot{i, make([]byte, h.Size)}
		copyAtomic(s.data, mem, at)
		now, err := shmstream.ReadHeader(mem)
		if err != nil {
			return h, nil, err
		}
		if now.Epoch != h.Epoch {
			return h, nil, errRestarted
		}
		// Element i is lost once the writer has begun element i + Elements.
		if now.WSC-i <= h.Elements {
			slots = append(slots, s)
		}
	}
	return h, slots, nil
}

// copyAtomic fills dst with the bytes of mem from offset at. Plain loads could
// be reordered after the loads of WSC and Epoch that confirm the copy; atomic
// loads stay before them on every processor. mem must begin at a multiple of 8.
// The last len(mem)%8 bytes, which are not a whole word, are copied with plain
// loads.
func copyAtomic(dst, mem []byte, at uint64) {
	end := at + uint64(len(dst))
	whole := uint64(len(mem)) &^ 7
	for w := at &^ 7; w < end; w += 8 {
		if w == whole {
			copy(dst[max(at, w)-at:], mem[max(at, w):end])
			return
		}
		word := atomic.LoadUint64((*uint64)(unsafe.Pointer(&mem[w])))
		for b := max(at, w); b < min(end, w+8); b++ {
			dst[b-at] = byte(word >> (8 * (b - w))) // little-endian, as all processors shmstream knows
		}
	}
}
