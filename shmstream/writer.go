package shmstream

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
)

// smallElement is the size up to which clearing the rest of an element is
// cheaper than remembering how long its previous content was.
const smallElement = 64

// Writer is the writing end of a channel. It is made by [NewWriter] and is
// inactive until Start.
//
// Elements are written in batches of one or more:
//
//	Reserve(k) -> for each i: copy into Slot(i), Fill(i, n) -> Publish()
//
// Write does all of that for one element. Between Reserve and Publish the
// readers cannot use the reserved elements, old or new: have the contents at
// hand before reserving, and never wait in between.
type Writer struct {
	control
	region []byte

	wc       uint64 // elements published in this epoch
	wsc      uint64 // elements begun, also by reservations that were given up
	reserved int    // elements reserved and not yet published
	next     int    // index of the first reserved, or next, element: wc mod elements
	elements int    // 0 = inactive
	size     int

	// used[i] is how many leading bytes of element i hold data, so that a
	// shorter content clears only what the longer one left. Nil for small elements.
	used []uint32

	protocol uint64 // of the current or last session, as is the next one
	epoch    Epoch
}

// WriterConfig is what a session of a [Writer] begins with.
type WriterConfig struct {
	// Protocol names the meaning of the elements. Any value but 0.
	Protocol uint64
	// Size is the length of an element in bytes, 1..MaxElementSize.
	Size int
	// Epoch names the session. 0 (the usual choice) picks a random one; any
	// other value must differ from that of the session before.
	Epoch Epoch
}

// NewWriter returns an inactive writer for region, and does not touch the
// region yet. The region must be at least HeaderSize bytes long and aligned to 8
// bytes, and stay mapped, writable, for as long as the Writer is used.
// That nobody else writes to it is for the caller to ensure.
func NewWriter(region []byte) (*Writer, error) {
	c, err := controlOf(region)
	if err != nil {
		return nil, err
	}
	return &Writer{control: c, region: region}, nil
}

// Start begins a session: it clears the whole region, so that nothing of an
// earlier session remains, and makes the channel active. On an active writer
// it is a restart. On an error the region is untouched and the writer is as
// before. Should the region fault, the writer is as before if nothing was
// touched yet, and otherwise inactive.
func (w *Writer) Start(cfg WriterConfig) error {
	if cfg.Protocol == 0 {
		return fmt.Errorf("start writer: protocol is 0, allowed is any other value")
	}
	if cfg.Size < 1 || cfg.Size > MaxElementSize {
		return fmt.Errorf("start writer: element size is %d bytes, allowed are 1..%d", cfg.Size, MaxElementSize)
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
		return fmt.Errorf("start writer: epoch %#x is that of the previous session, readers would not notice the start", uint64(epoch))
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

// announce makes a channel whose Epoch is 0 active.
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

// Renew begins a new epoch of the session: readers start at its first element,
// and lose what they had not read. Unlike Start it leaves the elements as they
// are, so it costs the same whatever their number. The epoch is next or, if
// next is 0 or in use, a random one. On an inactive writer it does nothing.
// Should the region fault, the writer is inactive.
func (w *Writer) Renew(next Epoch) {
	if !w.Active() {
		return
	}
	size, elements := w.size, w.elements
	w.giveUp()
	w.deactivate() // the next line may fault
	if found := Epoch(w.load(wordEpoch)); next == 0 || next == found || next == w.epoch {
		next = randomEpoch(found, w.epoch)
	}
	w.store(wordEpoch, 0) // P1: before WSC and WC go back; no byte changes
	w.announce(w.protocol, size, elements, next)
	w.elements, w.size, w.epoch = elements, size, next
}

// Damaged reports whether the header in the region is another one than this
// session's: something else has written there. Readers may have been misled.
func (w *Writer) Damaged() bool {
	return w.Active() && (Epoch(w.load(wordEpoch)) != w.epoch ||
		w.load(wordWC) != w.wc || w.load(wordWSC) != w.wsc ||
		w.load(wordTransport) != Transport || w.load(wordProtocol) != w.protocol ||
		w.load(wordSize) != uint64(w.size) || w.load(wordElements) != uint64(w.elements))
}

// randomEpoch returns an epoch that no reader can mistake for one of old.
func randomEpoch(old ...Epoch) Epoch {
	for {
		var b [8]byte
		rand.Read(b[:]) // never fails: it ends the process instead
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

// Stop ends the session: readers find the channel inactive, and lose what they
// had not read. It may be called at any time and any number of times; on a
// writer that was never started it ends what a former writer left active.
// Should the region fault, the writer is inactive all the same.
func (w *Writer) Stop() {
	w.deactivate()
	w.store(wordEpoch, 0) // P1
}

// deactivate forgets the session. It comes before the first store that ends it,
// because any store may fault.
func (w *Writer) deactivate() {
	w.wc, w.wsc, w.reserved, w.next = 0, 0, 0, 0
	w.elements, w.size = 0, 0
}

// Active reports whether the writer is between Start and Stop.
func (w *Writer) Active() bool { return w.elements != 0 }

// Epoch returns the epoch of this session, or of the last one while inactive;
// 0 before the first Start.
func (w *Writer) Epoch() Epoch { return w.epoch }

// Size returns the bytes of one element, 0 while inactive.
func (w *Writer) Size() int { return w.size }

// Elements returns how many elements the ring holds, 0 while inactive.
func (w *Writer) Elements() int { return w.elements }

// Written returns how many elements have been published since Start.
func (w *Writer) Written() uint64 { return w.wc }

// Reserve takes the next k elements away from the readers. k is 1..Elements;
// anything else and an inactive writer are errors of the program and panic,
// with the region untouched. A reservation that was not published, because the
// region faulted, is given up.
func (w *Writer) Reserve(k int) {
	if k < 1 || k > w.elements {
		w.panicReserve(k)
	}
	if w.reserved != 0 {
		w.giveUp()
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
	panic(fmt.Sprintf("shmstream: Reserve(%d): allowed are 1..%d", k, w.elements))
}

// giveUp ends an unfinished reservation. Its elements may hold anything, so
// readers must not believe what was there before: WSC does not go back.
func (w *Writer) giveUp() {
	if w.used != nil {
		for i := range w.reserved {
			w.used[w.index(i)] = uint32(w.size)
		}
	}
	w.reserved = 0
}

// Slot returns element i of the reservation, i in 0..k-1: Size bytes of shared
// memory, to be written and never read, until Publish. It holds its old content:
// write its beginning and call Fill with the length. Panics for any other i.
func (w *Writer) Slot(i int) []byte {
	off := HeaderSize + w.index(i)*w.size
	return w.region[off : off+w.size : off+w.size]
}

// index returns which element of the ring element i of the reservation is.
func (w *Writer) index(i int) int {
	if uint(i) >= uint(w.reserved) {
		panic("shmstream: element outside of the reservation")
	}
	n := w.next + i
	if n >= w.elements {
		n -= w.elements
	}
	return n
}

// Fill says that bytes 0..n-1 of Slot(i) hold data now. It clears what a longer
// content left behind them, and of elements up to 64 bytes all the rest. So a
// trailer at the end of a larger element may be written before or after Fill, as
// long as no n ever reaches into it. n is 0..Size; anything else panics.
func (w *Writer) Fill(i, n int) {
	at := w.index(i)
	slot := w.region[HeaderSize+at*w.size:][:w.size]
	if w.used == nil {
		clear(slot[n:])
		return
	}
	if uint(n) > uint(w.size) {
		panic("shmstream: Fill beyond the element")
	}
	if old := int(w.used[at]); n < old {
		clear(slot[n:old])
	}
	w.used[at] = uint32(n)
}

// Publish makes the reserved elements readable. Without a reservation it does nothing.
func (w *Writer) Publish() {
	w.wc += uint64(w.reserved)
	w.next += w.reserved
	if w.next >= w.elements {
		w.next -= w.elements
	}
	w.reserved = 0
	w.store(wordWC, w.wc) // P4, P5: after every byte of the elements
}

// Write publishes one element that holds p, followed by zeros. A p longer than
// Size panics, with the region untouched. It does not allocate.
func (w *Writer) Write(p []byte) {
	if len(p) > w.size {
		panic("shmstream: Write of more than an element holds")
	}
	w.Reserve(1)
	copy(w.Slot(0), p)
	w.Fill(0, len(p))
	w.Publish()
}
