package shmstream

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
)

// smallElement is the size in bytes up to which clearing the rest of an element
// is cheaper than tracking the length of its previous content.
const smallElement = 64

// Writer is the writing end of a channel. A new Writer is inactive until Start.
//
// Elements are written in batches of one or more:
//
//	Reserve(k) -> for each i: copy into Slot(i), Fill(i, n) -> Publish()
//
// Write does all of that for one element. Between Reserve and Publish readers
// cannot use the reserved elements, neither the old content nor the new. Have
// the new content ready before Reserve, and do not wait in between.
type Writer struct {
	control
	region []byte

	wc       uint64 // elements published in this epoch
	wsc      uint64 // elements begun, including abandoned reservations
	reserved int    // elements reserved but not published
	next     int    // index of the first reserved or next element: wc mod elements
	elements int    // 0 = inactive
	size     int

	// used[i] is how many leading bytes of element i hold data, so that
	// shorter content only clears what longer content left behind. It is
	// nil for small elements.
	used []uint32

	protocol uint64 // of the current or last session, like epoch
	epoch    Epoch
}

// WriterConfig configures a session of a [Writer].
type WriterConfig struct {
	// Protocol is the meaning of the elements. It must not be 0.
	Protocol uint64
	// Size is the size of an element in bytes, 1..MaxElementSize.
	Size int
	// Epoch identifies the session. 0, the usual choice, picks a random
	// epoch. Any other value must differ from that of the previous session.
	Epoch Epoch
}

// NewWriter returns an inactive writer for region, without touching the region.
// The region must be at least HeaderSize bytes long and aligned to 8 bytes, and
// must stay mapped and writable for as long as the Writer is used. The caller
// must make sure that it is the only writer.
func NewWriter(region []byte) (*Writer, error) {
	c, err := controlOf(region)
	if err != nil {
		return nil, err
	}
	return &Writer{control: c, region: region}, nil
}

// Start begins a session: it clears the whole region, so that nothing of an
// earlier session remains, and activates the channel. On an active writer it is
// a restart. On error, the region and the writer are unchanged. If the region
// faults, the writer is unchanged if Start had not written yet, and inactive
// otherwise.
func (w *Writer) Start(cfg WriterConfig) error {
	if cfg.Protocol == 0 {
		return fmt.Errorf("start writer: protocol is 0, want a non-zero value")
	}
	if cfg.Size < 1 || cfg.Size > MaxElementSize {
		return fmt.Errorf("start writer: element size is %d bytes, want 1..%d", cfg.Size, MaxElementSize)
	}
	elements := (len(w.region) - HeaderSize) / cfg.Size
	if elements == 0 {
		return fmt.Errorf("start writer: region of %d bytes holds no element of %d bytes", len(w.region), cfg.Size)
	}
	found := Epoch(w.load(wordEpoch))
	epoch := cfg.Epoch
	if epoch == 0 {
		epoch = randomEpoch(found, w.epoch)
	} else if epoch == found || epoch == w.epoch {
		return fmt.Errorf("start writer: epoch %#x is that of the previous session; readers would not notice the start", uint64(epoch))
	}

	w.deactivate()        // the next line may fault
	w.store(wordEpoch, 0) // P1: before anything of the old session changes
	storeFence()          // P1
	clear(w.region[HeaderSize:])
	w.announce(cfg.Protocol, cfg.Size, elements, epoch)

	switch {
	case cfg.Size <= smallElement:
		w.used = nil
	case len(w.used) == elements:
		clear(w.used)
	default:
		w.used = make([]uint32, elements)
	}
	w.elements, w.size = elements, cfg.Size
	w.protocol, w.epoch = cfg.Protocol, epoch
	return nil
}

// announce activates a channel whose Epoch is 0.
func (w *Writer) announce(protocol uint64, size, elements int, epoch Epoch) {
	w.store(wordTransport, Transport)
	w.store(wordProtocol, protocol)
	w.store(wordSize, uint64(size))
	w.store(wordElements, uint64(elements))
	w.store(wordReserved, 0)
	w.store(wordWSC, 0)               // P6: after Epoch = 0
	w.store(wordWC, 0)                // P6
	w.store(wordEpoch, uint64(epoch)) // P2: after everything else
}

// Renew begins a new epoch of the session. Readers continue with its first
// element and lose what they had not read. Unlike Start, Renew leaves the
// elements alone, so its cost does not depend on their number. The new epoch is
// next, or a random one if next is 0 or already in use. On an inactive writer
// Renew does nothing. If the region faults, the writer is inactive.
func (w *Writer) Renew(next Epoch) {
	if !w.Active() {
		return
	}
	size, elements := w.size, w.elements
	w.abandon()
	w.deactivate() // the next line may fault
	if found := Epoch(w.load(wordEpoch)); next == 0 || next == found || next == w.epoch {
		next = randomEpoch(found, w.epoch)
	}
	w.store(wordEpoch, 0) // P1: before WSC and WC go back; no byte changes
	w.announce(w.protocol, size, elements, next)
	w.elements, w.size, w.epoch = elements, size, next
}

// Damaged reports whether the header in the region differs from this session's,
// that is, something else has written to it. Readers may have been misled.
func (w *Writer) Damaged() bool {
	return w.Active() && (Epoch(w.load(wordEpoch)) != w.epoch ||
		w.load(wordWC) != w.wc || w.load(wordWSC) != w.wsc ||
		w.load(wordTransport) != Transport || w.load(wordProtocol) != w.protocol ||
		w.load(wordSize) != uint64(w.size) || w.load(wordElements) != uint64(w.elements))
}

// randomEpoch returns an epoch other than 0 and those in old.
func randomEpoch(old ...Epoch) Epoch {
	for {
		var b [8]byte
		rand.Read(b[:]) // never returns an error: it crashes the program instead
		e := Epoch(binary.NativeEndian.Uint64(b[:]))
		usable := e != 0
		for _, o := range old {
			usable = usable && e != o
		}
		if usable {
			return e
		}
	}
}

// Stop ends the session: readers find the channel inactive and lose what they
// had not read. It may be called at any time and any number of times. On a
// writer that was never started it ends a session that an earlier writer left
// active. If the region faults, the writer is inactive nevertheless.
func (w *Writer) Stop() {
	w.deactivate()
	w.store(wordEpoch, 0) // P1
}

// deactivate forgets the session. Call it before the first store that ends the
// session, because any store may fault.
func (w *Writer) deactivate() {
	w.wc, w.wsc, w.reserved, w.next = 0, 0, 0, 0
	w.elements, w.size = 0, 0
}

// Active reports whether the writer is between Start and Stop.
func (w *Writer) Active() bool { return w.elements != 0 }

// Epoch returns the epoch of this session, or of the last one while inactive;
// 0 before the first Start.
func (w *Writer) Epoch() Epoch { return w.epoch }

// Size returns the size of an element in bytes, 0 while inactive.
func (w *Writer) Size() int { return w.size }

// Elements returns how many elements the ring holds, 0 while inactive.
func (w *Writer) Elements() int { return w.elements }

// Written returns the number of elements published since Start.
func (w *Writer) Written() uint64 { return w.wc }

// Reserve takes the next k elements away from the readers, k in 1..Elements.
// Any other k, and an inactive writer, are programming errors: Reserve panics
// and leaves the region alone. It abandons an earlier reservation that was not
// published because the region faulted.
func (w *Writer) Reserve(k int) {
	if k < 1 || k > w.elements {
		w.panicReserve(k)
	}
	if w.reserved != 0 {
		w.abandon()
	}
	w.reserved = k
	w.wsc = max(w.wsc, w.wc+uint64(k))
	w.store(wordWSC, w.wsc) // P3, P5
	storeFence()            // P3: before any byte of the elements changes
}

func (w *Writer) panicReserve(k int) {
	if !w.Active() {
		panic("shmstream: Reserve on an inactive writer")
	}
	panic(fmt.Sprintf("shmstream: Reserve(%d): want 1..%d", k, w.elements))
}

// abandon ends an unfinished reservation. WSC does not go back, because the
// elements may hold anything: readers must not rely on their old content.
func (w *Writer) abandon() {
	if w.used != nil {
		for i := range w.reserved {
			w.used[w.index(i)] = uint32(w.size)
		}
	}
	w.reserved = 0
}

// Slot returns element i of the reservation, i in 0..k-1: Size bytes of shared
// memory, valid until Publish, to be written but never read. It still holds old
// content: write the beginning, then call Fill with the length. Slot panics for
// any other i.
func (w *Writer) Slot(i int) []byte {
	off := HeaderSize + w.index(i)*w.size
	return w.region[off : off+w.size : off+w.size]
}

// index maps element i of the reservation to its index in the ring.
func (w *Writer) index(i int) int {
	if uint(i) >= uint(w.reserved) {
		panic("shmstream: element outside the reservation")
	}
	n := w.next + i
	if n >= w.elements {
		n -= w.elements
	}
	return n
}

// Fill records that bytes 0..n-1 of Slot(i) hold data. It clears what longer
// content left after them, and all the rest of elements up to 64 bytes. So a
// trailer at the end of a larger element may be written before or after Fill,
// provided that no n ever reaches into it. Fill panics unless n is 0..Size.
func (w *Writer) Fill(i, n int) {
	at := w.index(i)
	slot := w.region[HeaderSize+at*w.size:][:w.size]
	if w.used == nil {
		clear(slot[n:])
		return
	}
	if uint(n) > uint(w.size) {
		panic("shmstream: Fill beyond the end of the element")
	}
	if old := int(w.used[at]); n < old {
		clear(slot[n:old])
	}
	w.used[at] = uint32(n)
}

// Publish makes the reserved elements readable. Without a reservation it does
// nothing.
func (w *Writer) Publish() {
	w.wc += uint64(w.reserved)
	w.next += w.reserved
	if w.next >= w.elements {
		w.next -= w.elements
	}
	w.reserved = 0
	w.store(wordWC, w.wc) // P4, P5: after every byte of the elements
}

// Write publishes one element that holds p, padded with zeros. It panics if p
// is longer than Size, and leaves the region alone then. It does not allocate.
func (w *Writer) Write(p []byte) {
	if len(p) > w.size {
		panic("shmstream: Write longer than an element")
	}
	w.Reserve(1)
	copy(w.Slot(0), p)
	w.Fill(0, len(p))
	w.Publish()
}
