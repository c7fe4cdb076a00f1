package shmstream

import "fmt"

// This file is the part of Reader that finds, validates and abandons sessions.

// reason is why a channel is Incompatible. It holds numbers because a hostile
// writer can provide a new one on every call; only Reason formats them.
type reason struct {
	kind       reasonKind
	got, other uint64
}

type reasonKind uint8

const (
	none reasonKind = iota
	badTransport
	badProtocol
	badSize
	badElements
	wcWentBack // got: WC, other: the previous WC
	wscBelowWC // got: WSC, other: WC
)

// Reason says why the last outcome was Incompatible: the expected value and, if
// the region is a channel, the value found. It is empty after any other
// outcome.
func (r *Reader) Reason() string {
	got, other := r.why.got, r.why.other
	switch r.why.kind {
	case badTransport:
		// Do not reveal the value found: memory that is not a channel
		// may be a file that the reader of this text is not allowed to
		// read.
		return fmt.Sprintf("transport is not %#x: not a channel", Transport)
	case badProtocol:
		return fmt.Sprintf("protocol is %#x, expected %#x", got, r.want.Protocol)
	case badSize:
		return fmt.Sprintf("size is %d bytes, want %d..%d", got, r.want.MinSize, MaxElementSize)
	case badElements:
		return fmt.Sprintf("elements is %d of %d bytes each, want 1..%d in a region of %d bytes",
			got, other, r.maxElements(other), len(r.region))
	case wcWentBack:
		return fmt.Sprintf("WC went back from %d to %d in the same epoch", other, got)
	case wscBelowWC:
		return fmt.Sprintf("WSC is %d, below WC %d", got, other)
	default:
		return ""
	}
}

// Reset abandons the session. The following Next synchronises again and, if
// there is a writer, reads from element 0; if the ring no longer holds that,
// this is an Overrun. The statistics are kept.
func (r *Reader) Reset() { r.forget() }

func (r *Reader) forget() {
	r.epoch, r.rc, r.wc, r.taken = 0, 0, 0, false
	r.elements, r.size, r.end, r.off = 0, 0, 0, 0
	r.lost, r.refused, r.why = false, Header{}, reason{}
}

// follow handles an epoch that is 0, new, or the current one while its counters
// are inconsistent.
func (r *Reader) follow(e Epoch) Result {
	switch e {
	case 0:
		r.forget()
		return Inactive
	case r.epoch:
		return r.resync()
	}
	h := r.loadHeader(e)
	if Epoch(r.load(wordEpoch)) != e { // P1: h may mix two sessions
		r.forget()
		return EpochChanged
	}
	r.forget()
	if r.why = r.check(h); r.why.kind != none {
		r.refused = h
		return Incompatible
	}
	r.epoch, r.elements, r.size = e, h.Elements, int(h.Size)
	r.end = HeaderSize + int(h.Elements)*r.size
	r.seek(0)
	r.stats.EpochChanges++
	return EpochChanged
}

// loadHeader copies the words that must not change during epoch e, each once.
func (r *Reader) loadHeader(e Epoch) Header {
	return Header{
		Epoch:     e,
		Transport: r.load(wordTransport), // P2, like the next three
		Protocol:  r.load(wordProtocol),
		Size:      r.load(wordSize),
		Elements:  r.load(wordElements),
	}
}

// check validates a private copy of the header. If it passes, every element of
// the ring lies within the region.
func (r *Reader) check(h Header) reason {
	switch {
	case h.Transport != Transport:
		return reason{kind: badTransport}
	case h.Protocol != r.want.Protocol:
		return reason{kind: badProtocol, got: h.Protocol}
	case h.Size < uint64(r.want.MinSize) || h.Size > MaxElementSize:
		return reason{kind: badSize, got: h.Size}
	case h.Elements < 1 || h.Elements > r.maxElements(h.Size):
		return reason{kind: badElements, got: h.Elements, other: h.Size}
	}
	return reason{}
}

// maxElements returns how many elements of size bytes the region can hold; size
// is not 0. Dividing, where the specification multiplies, cannot overflow.
func (r *Reader) maxElements(size uint64) uint64 {
	return uint64(len(r.region)-HeaderSize) / size
}

// lose stops delivering until the counters are consistent again.
func (r *Reader) lose(why reason) Result {
	r.lost, r.taken, r.why = true, false, why
	r.stats.ProtocolErrors++
	return Incompatible
}

// resync resumes an epoch once its counters are consistent again, as after an
// overrun. It does not deliver elements twice, unless the counters have gone
// back: then the reader continues after the newest element.
func (r *Reader) resync() Result {
	wc, wsc, sane := r.counters()
	if Epoch(r.load(wordEpoch)) != r.epoch { // P6
		r.forget()
		return EpochChanged
	}
	if !sane {
		return Incompatible
	}
	rc := wc
	if r.rc <= wc {
		rc = max(r.rc, r.resume(wc, wsc))
		r.stats.Lost += rc - r.rc
	}
	r.lost, r.why = false, reason{}
	r.stats.Overruns++
	r.seek(rc)
	return Overrun
}

// counters reads both counters and reports whether they are consistent.
func (r *Reader) counters() (wc, wsc uint64, sane bool) {
	wc = r.load(wordWC)   // P5: before WSC
	wsc = r.load(wordWSC) // P5
	return wc, wsc, wsc >= wc && wsc-wc <= r.elements
}

// resume returns where to continue after an overrun: half a ring behind the
// writer, which leaves time to read before the next overrun, or further on if
// the writer is overwriting more than that right now.
func (r *Reader) resume(wc, wsc uint64) uint64 {
	return max(wc-min(wc, r.elements/2), wsc-min(wsc, r.elements))
}
