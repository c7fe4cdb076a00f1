package shmstream

import "fmt"

// Expect is what a [Reader] requires of a writer.
type Expect struct {
	// Protocol is the meaning of the elements. It must not be 0.
	Protocol uint64
	// MinSize is the smallest acceptable element size in bytes,
	// 0..MaxElementSize. 0 means 1.
	MinSize int
}

// ReaderStats are totals since the Reader was created.
type ReaderStats struct {
	Overruns       uint64 // outcomes Overrun
	Lost           uint64 // elements skipped by overruns
	ProtocolErrors uint64 // times the counters became inconsistent
	EpochChanges   uint64 // sessions the reader synchronised with
}

// Reader is the reading end of a channel. It follows the writer through stops,
// restarts and garbage; no state is final:
//
//	            header valid            counters inconsistent
//	searching -------------> synchronised -----------------------> lost
//	 |  ^  ^                  |    ^                                | |
//	 |  |  +-- Epoch changed -+    +------ consistent again --------+ |
//	 |  |  +---------------- Epoch changed ---------------------------+
//	 |  +--- Epoch or header changed ---+
//	 +------------ header invalid -----> refused
//
// Elements are read one at a time:
//
//	Next() -> Success: copy the element out -> Confirm() -> Success: use the copy
//
// Read does all of that. Do not interpret a copy before Confirm returns
// Success: until then it may be torn.
type Reader struct {
	control
	region []byte
	want   Expect

	epoch    Epoch // of the current session; 0 = not synchronised
	rc       uint64
	wc       uint64 // as Next saw it
	elements uint64 // of this epoch, validated, as are the next three
	size     int
	end      int  // offset after the last element
	off      int  // offset of element rc
	taken    bool // Next returned Success, Confirm is due

	lost    bool   // the counters of this epoch are inconsistent
	refused Header // the last header refused; Epoch 0 = none
	why     reason

	stats ReaderStats
}

// NewReader returns an unsynchronised reader for region. The region must be at
// least HeaderSize bytes long and aligned to 8 bytes, and must stay mapped for
// as long as the Reader is used. The reader never writes to it.
func NewReader(region []byte, want Expect) (*Reader, error) {
	c, err := controlOf(region)
	if err != nil {
		return nil, err
	}
	if want.Protocol == 0 {
		return nil, fmt.Errorf("make reader: protocol is 0, want a non-zero value")
	}
	if want.MinSize < 0 || want.MinSize > MaxElementSize {
		return nil, fmt.Errorf("make reader: minimum element size is %d bytes, want 0..%d", want.MinSize, MaxElementSize)
	}
	want.MinSize = max(want.MinSize, 1)
	return &Reader{control: c, region: region, want: want}, nil
}

// Next looks for the next element. On Success it returns the Size bytes of the
// element in shared memory, which may change at any moment: copy what you need,
// reading each byte once, then call Confirm, and interpret the copy only if
// that succeeds. Do not use the slice after Confirm. Without Confirm, the next
// call looks at the same element again.
//
// The other outcomes are Inactive, Incompatible, NoData, Overrun and
// EpochChanged. EpochChanged: the reader has found a new session and the next
// call reads its first element. (If the writer restarts during the call, the
// next call also synchronises.) Overrun: inconsistent counters are consistent
// again, and the next call continues from there.
//
// Each call does a bounded amount of work. Next does not allocate.
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

// idle distinguishes a writer with nothing new from one whose WC went back.
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

// Confirm reports whether the copy made since Next is intact. Success: it is,
// and the reader moves to the next element. Overrun: the writer has begun to
// overwrite the element; the reader has moved on by at least one element, to
// one that was still intact and at most half a ring behind the writer.
// EpochChanged: the session ended. Incompatible: the counters are inconsistent.
// Discard the copy unless the outcome is Success.
//
// Unless Next has just returned Success, Confirm does nothing and returns
// NoData. It does not allocate.
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

// discard determines why the copy is not intact and where reading continues.
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
	rc = min(rc, wc) // bounds a hostile WSC; still advances, as wc >= r.wc > r.rc
	r.stats.Overruns++
	r.stats.Lost += rc - r.rc
	r.seek(rc)
	return Overrun
}

// seek moves the reader to element rc.
func (r *Reader) seek(rc uint64) {
	r.rc = rc
	r.off = HeaderSize + int(rc%r.elements)*r.size
}

// Read copies the next element into dst, as much of it as fits, and returns the
// number of bytes copied. For any outcome but Success (see Next and Confirm) it
// returns 0, and the content of dst is undefined. It does not allocate.
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

// SkipPending drops everything written so far. On Success the reader is
// synchronised and stands after the newest element. Otherwise it returns
// Inactive or Incompatible if there is no writer it can follow, or EpochChanged
// if the writer restarts during the call; the reader then reads the next
// session from its first element. Skipped elements do not count as lost.
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

// Ready reports whether Next would now return another outcome than last time:
// an element is available, a writer started, stopped or restarted, or the
// header of an incompatible writer changed. It has no side effects. Use it as
// the last check before sleeping. Before the first Next it compares with
// Inactive.
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

// Epoch returns the epoch of the current session, 0 while not synchronised.
func (r *Reader) Epoch() Epoch { return r.epoch }

// Size returns the size of an element in bytes, 0 while not synchronised.
func (r *Reader) Size() int { return r.size }

// Elements returns how many elements the ring holds, 0 while not synchronised.
func (r *Reader) Elements() int { return int(r.elements) }

// Position returns RC, the number of the next element to read, counted from the
// start of the epoch; 0 while not synchronised.
func (r *Reader) Position() uint64 { return r.rc }

// Stats returns the counters.
func (r *Reader) Stats() ReaderStats { return r.stats }
