package shmstream

import "fmt"

// This file is the part of Reader that finds, checks and gives up sessions.

// reason is why a channel is Incompatible. It is kept as numbers because a
// hostile writer can make a new one at every look: only Reason makes text of it.
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
	wcWentBack // got: WC, other: where it had been
	wscBelowWC // got: WSC, other: WC
)

// Reason tells, while the last outcome is Incompatible, why: the value expected
// and, of a channel, the one found. Otherwise it is empty.
func (r *Reader) Reason() string {
	got, other := r.why.got, r.why.other
	switch r.why.kind {
	case badTransport:
		// Not what is there instead: memory that is no channel may be what the
		// reader of this text must not see.
		return fmt.Sprintf("transport is not %#x: it is no channel", Transport)
	case badProtocol:
		return fmt.Sprintf("protocol is %#x, expected %#x", got, r.want.Protocol)
	case badSize:
		return fmt.Sprintf("size is %d bytes, allowed are %d..%d", got, r.want.MinSize, MaxElementSize)
	case badElements:
		return fmt.Sprintf("elements is %d of %d bytes, allowed are 1..%d in a region of %d bytes",
			got, other, r.mostElements(other), len(r.region))
	case wcWentBack:
		return fmt.Sprintf("WC went back from %d to %d in the same epoch", other, got)
	case wscBelowWC:
		return fmt.Sprintf("WSC is %d, below WC %d", got, other)
	default:
		return ""
	}
}

// Reset forgets the session: the next Next synchronises anew and, if there is a
// writer, reads what its ring still holds from element 0 on (which is an
// Overrun where that is gone). The statistics stay.
func (r *Reader) Reset() { r.forget() }

func (r *Reader) forget() {
	r.epoch, r.rc, r.wc, r.taken = 0, 0, 0, false
	r.elements, r.size, r.end, r.off = 0, 0, 0, 0
	r.lost, r.refused, r.why = false, Header{}, reason{}
}

// follow handles an epoch that is 0, not the one being read, or one whose
// counters made no sense.
func (r *Reader) follow(e Epoch) Result {
	switch e {
	case 0:
		r.forget()
		return Inactive
	case r.epoch:
		return r.resync()
	}
	h := r.loadHeader(e)
	if Epoch(r.load(wordEpoch)) != e { // P1: h may be a mixture of two sessions
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
		Transport: r.load(wordTransport), // P2, as all of these
		Protocol:  r.load(wordProtocol),
		Size:      r.load(wordSize),
		Elements:  r.load(wordElements),
	}
}

// check validates a private copy of the header. What it lets pass makes
// every element of the ring lie inside of the region.
func (r *Reader) check(h Header) reason {
	switch {
	case h.Transport != Transport:
		return reason{kind: badTransport}
	case h.Protocol != r.want.Protocol:
		return reason{kind: badProtocol, got: h.Protocol}
	case h.Size < uint64(r.want.MinSize) || h.Size > MaxElementSize:
		return reason{kind: badSize, got: h.Size}
	case h.Elements < 1 || h.Elements > r.mostElements(h.Size):
		return reason{kind: badElements, got: h.Elements, other: h.Size}
	}
	return reason{}
}

// mostElements is how many elements of a size other than 0 the region can
// hold. Dividing where the specification multiplies cannot overflow.
func (r *Reader) mostElements(size uint64) uint64 {
	return uint64(len(r.region)-HeaderSize) / size
}

// lose stops delivering until the counters make sense again.
func (r *Reader) lose(why reason) Result {
	r.lost, r.taken, r.why = true, false, why
	r.stats.ProtocolErrors++
	return Incompatible
}

// resync goes on with an epoch whose counters made no sense once they do
// again, as after an overrun. What was delivered before is not delivered again,
// unless the counters have gone back behind it: then the reader starts behind
// the newest element.
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

// counters reads both counters and tells whether they can be those of a writer.
func (r *Reader) counters() (wc, wsc uint64, sane bool) {
	wc = r.load(wordWC)   // P5: before WSC
	wsc = r.load(wordWSC) // P5
	return wc, wsc, wsc >= wc && wsc-wc <= r.elements
}

// resume returns where to go on behind an overrun. Half a ring behind the writer
// leaves room to read without being overrun at once; further on if more than
// that is being overwritten right now.
func (r *Reader) resume(wc, wsc uint64) uint64 {
	return max(wc-min(wc, r.elements/2), wsc-min(wsc, r.elements))
}
