package shmstream

import "fmt"

// Expect is what a [Reader] demands of a writer.
type Expect struct {
	// Protocol is the meaning of the elements. Any value but 0.
	Protocol uint64
	// MinSize is the smallest element size in bytes that can be used,
	// 0..MaxElementSize; 0 is the same as 1.
	MinSize int
}

// ReaderStats are totals since the Reader was made.
type ReaderStats struct {
	Overruns       uint64 // outcomes Overrun
	Lost           uint64 // elements skipped by them
	ProtocolErrors uint64 // times that counters of a session made no sense
	EpochChanges   uint64 // sessions that began to be read
}

// Reader is a reading end of a channel. It follows the writer through stops,
// restarts and rubbish for ever; no state is final:
//
//	            header good                 counters make no sense
//	searching -------------> synchronised -----------------------> lost
//	 |  ^  ^                  |    ^                                | |
//	 |  |  +-- Epoch changed -+    +------ they make sense again ---+ |
//	 |  |  +---------------- Epoch changed ---------------------------+
//	 |  +--- Epoch or header changed ---+
//	 +------------ header bad ---------> refused
//
// Elements are taken one at a time:
//
//	Next() -> Success: copy the element out -> Confirm() -> Success: use the copy
//
// Read does all of that. Nothing of a copy may be interpreted before Confirm
// says Success: until then it can be torn.
type Reader struct {
	control
	region []byte
	want   Expect

	epoch    Epoch // being read; 0 = not synchronised
	rc       uint64
	wc       uint64 // as Next saw it
	elements uint64 // of this epoch, validated, as are the next three
	size     int
	end      int  // offset behind the last element
	off      int  // offset of element rc
	taken    bool // Next said Success and Confirm was not called yet

	lost    bool   // the counters of this epoch made no sense
	refused Header // the header that was found bad; its Epoch 0 = none
	why     reason

	stats ReaderStats
}

// NewReader returns a reader for region that has not synchronised yet. The
// region must be at least HeaderSize bytes long and aligned to 8 bytes, and stay
// mapped for as long as the Reader is used; it is never written to.
func NewReader(region []byte, want Expect) (*Reader, error) {
	c, err := controlOf(region)
	if err != nil {
		return nil, err
	}
	if want.Protocol == 0 {
		return nil, fmt.Errorf("make reader: protocol is 0, allowed is any other value")
	}
	if want.MinSize < 0 || want.MinSize > MaxElementSize {
		return nil, fmt.Errorf("make reader: smallest element size is %d bytes, allowed are 0..%d", want.MinSize, MaxElementSize)
	}
	want.MinSize = max(want.MinSize, 1)
	return &Reader{control: c, region: region, want: want}, nil
}

// Next looks for the next element. With Success it returns the Size bytes of
// the element in shared memory, where they may change at any moment: copy
// what is needed, each byte once, call Confirm, and only then look at the copy. The
// slice must not be used after Confirm. Calling Next again without Confirm
// looks at the same element again. It does not allocate.
//
// The other outcomes are Inactive, Incompatible, NoData, Overrun and EpochChanged.
// EpochChanged: the reader has found a new session, which it reads from the first
// element on with the next call (where the writer restarts during the call,
// synchronising is left to the next call as well). Overrun: counters that made no
// sense do again, and the next call reads on from there. Each call does a bounded
// amount of work.
func (r *Reader) Next() ([]byte, Result) {
	e := Epoch(r.load(wordEpoch)) // P1, P2
	if e != r.epoch || e == 0 || r.lost {
		return nil, r.follow(e)
	}
	wc := r.load(wordWC) // P4, P5: before the element is copied
	if wc <= r.rc {
		return nil, r.idle(wc)
	}
	r.wc, r.taken = wc, true
	return r.region[r.off : r.off+r.size : r.off+r.size], Success
}

// idle tells a writer that has nothing new from one whose WC went back.
func (r *Reader) idle(wc uint64) Result {
	r.taken = false
	if wc == r.rc {
		return NoData
	}
	if Epoch(r.load(wordEpoch)) != r.epoch { // P6: a restart, WC is back at 0
		r.forget()
		return EpochChanged
	}
	return r.lose(reason{wcWentBack, wc, r.rc})
}

// Confirm tells whether the copy made since Next is good. Success: it is, and
// the reader stands at the next element. Overrun: the writer has begun to
// overwrite it; the reader moved on by at least one element, to one that
// was intact then, at most half a ring behind the writer. EpochChanged: the
// session ended. Incompatible: the counters make no sense. With all but Success
// the copy must be discarded. Without a preceding Success of Next it returns
// NoData and does nothing. It does not allocate.
func (r *Reader) Confirm() Result {
	if !r.taken {
		return NoData
	}
	r.taken = false
	loadFence()                   // P1, P3: after the last byte was copied
	wsc := r.load(wordWSC)        // P3, P5
	e := Epoch(r.load(wordEpoch)) // P1
	if e != r.epoch || wsc-r.rc > r.elements || wsc < r.wc {
		return r.discard(wsc, e)
	}
	r.rc++
	if r.off += r.size; r.off == r.end {
		r.off = HeaderSize
	}
	return Success
}

// discard finds out why the copy is not good and goes to where reading can go on.
func (r *Reader) discard(wsc uint64, e Epoch) Result {
	if e != r.epoch {
		r.forget()
		return EpochChanged
	}
	if wsc < r.wc {
		return r.lose(reason{wscBelowWC, wsc, r.wc})
	}
	wc := r.load(wordWC)                     // P5: before WSC
	wsc = r.load(wordWSC)                    // P5
	if Epoch(r.load(wordEpoch)) != r.epoch { // P6
		r.forget()
		return EpochChanged
	}
	switch {
	case wc < r.wc:
		return r.lose(reason{wcWentBack, wc, r.wc})
	case wsc < wc:
		return r.lose(reason{wscBelowWC, wsc, wc})
	}
	rc := max(r.resume(wc, wsc), r.rc+1)
	rc = min(rc, wc) // a hostile WSC; wc >= r.wc > r.rc, so this advances too
	r.stats.Overruns++
	r.stats.Lost += rc - r.rc
	r.seek(rc)
	return Overrun
}

// seek places the reader at element rc.
func (r *Reader) seek(rc uint64) {
	r.rc = rc
	r.off = HeaderSize + int(rc%r.elements)*r.size
}

// Read copies the next element, as much of it as fits, into dst and returns
// how many bytes that are. With any outcome but Success (see Next and Confirm)
// it returns 0 and what dst holds is undefined. It does not allocate.
func (r *Reader) Read(dst []byte) (int, Result) {
	slot, result := r.Next()
	if result != Success {
		return 0, result
	}
	n := copy(dst, slot)
	if result = r.Confirm(); result != Success {
		return 0, result
	}
	return n, Success
}

// SkipPending drops everything written so far: with Success the reader stands
// behind the newest element, synchronised. If there is no writer it can
// follow it returns Inactive or Incompatible, and if the writer restarts during
// the call EpochChanged; whatever such a writer writes later is read from its
// first element on. What is skipped here does not count as lost.
func (r *Reader) SkipPending() Result {
	if e := Epoch(r.load(wordEpoch)); e != r.epoch || e == 0 || r.lost {
		if result := r.follow(e); r.epoch == 0 || r.lost {
			return result
		}
	}
	r.taken = false
	wc := r.load(wordWC)
	if Epoch(r.load(wordEpoch)) != r.epoch { // P6
		r.forget()
		return EpochChanged
	}
	if wc < r.rc {
		return r.lose(reason{wcWentBack, wc, r.rc})
	}
	r.seek(wc)
	return Success
}

// Ready reports, without any effect, whether Next would now say something else
// than what it said last: an element is there, a writer came, went or
// restarted, or the header of an incompatible one was changed. It is the
// last look before going to sleep, and before the first Next compares with Inactive.
func (r *Reader) Ready() bool {
	e := Epoch(r.load(wordEpoch))
	switch {
	case e == 0:
		return r.epoch != 0 || r.refused.Epoch != 0
	case e == r.refused.Epoch:
		return r.loadHeader(e) != r.refused
	case e != r.epoch:
		return true
	case r.lost:
		_, _, sane := r.counters()
		return sane
	}
	return r.load(wordWC) != r.rc
}

// Epoch returns the epoch being read, 0 while not synchronised.
func (r *Reader) Epoch() Epoch { return r.epoch }

// Size returns the bytes of one element, 0 while not synchronised.
func (r *Reader) Size() int { return r.size }

// Elements returns how many elements the ring holds, 0 while not synchronised.
func (r *Reader) Elements() int { return int(r.elements) }

// Position returns RC, the number of the next element to read since the epoch
// started; 0 while not synchronised.
func (r *Reader) Position() uint64 { return r.rc }

// Stats returns the counters.
func (r *Reader) Stats() ReaderStats { return r.stats }
