package datapath

import (
	"sync/atomic"
	"time"

	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/shmstream"
)

// Pulse is what an Inbound tells a Sender of the peer they have in common. One
// of each may use it, at any time.
type Pulse struct {
	heard  atomic.Int64  // when a packet came last, by clock; 0 = never
	starts atomic.Uint64 // how often a writer has started
	active atomic.Bool   // there is a writer

	epoch shmstream.Epoch // the Inbound's: the last one that it followed
}

// NewPulse returns a Pulse for a Sender that renews after so long; nil, which
// nobody needs to tell anything, where that is never.
func NewPulse(renew time.Duration) *Pulse {
	if renew == 0 {
		return nil
	}
	return new(Pulse)
}

// hear tells that packets came.
func (p *Pulse) hear(now func() time.Duration) {
	if p != nil {
		p.heard.Store(int64(now()))
	}
}

// follow tells of an epoch. One that is the last one plus 1 is a renewal: the
// peer's writer goes on, and its reader with it. Were it taken for a start, two
// that renew could set each other off for ever.
func (p *Pulse) follow(e shmstream.Epoch) {
	if p == nil || e == 0 || e == p.epoch {
		return
	}
	if p.epoch == 0 || e != p.epoch+1 {
		p.starts.Add(1)
	}
	p.epoch = e
}

// state tells whether there is a writer.
func (p *Pulse) state(active bool) {
	if p != nil {
		p.active.Store(active)
	}
}

// renewal decides when a new epoch has to free a peer whose reader is stuck: one
// that does not recover from being overrun until the epoch changes. A channel
// says nothing of its readers, so two things count as signs of it.
//
// The peer has fallen silent. It was heard since the writer started, but not for
// some time; it has not answered what was sent in the second half of that time,
// and more than a ring was written since shortly before it was last heard: it may
// have sent its last answers when it had been overrun already.
//
//	 a ring or more
//	|--------------|
//	older     newer   heard ........................ sent ........... sending
//	                        ..half of after or more..   ..the same..
//
// Or the peer has started again, and more than half of a ring has been written
// in the epoch: some begin at its first element, however old, and are stuck from
// the beginning when that is gone.
//
// A peer that has nothing to say is silent, too, and loses what it has not read by
// each renewal. So one that was never heard is left alone: that its writer has
// started is not a word of it. And the silence has to last twice as long after each
// renewal that has not made the peer speak. It is short again when the peer speaks
// soon after a renewal, or twice in a row. One answer long after everything else,
// as to ARP in the middle of a stream that goes one way, is no sign that a renewal
// was of use. In an epoch in which the peer was not heard, though before, it has to
// last longest: no reader is stuck for ever.
//
// It is asked when something is about to be sent. No epoch is renewed twice within
// after.
type renewal struct {
	after time.Duration // 0 = never

	spoke        bool          // the peer was heard since the writer started
	pause        time.Duration // how long it has to be silent; 0 = for ever, for it was never heard
	older, newer mark          // of what was written; half of after lies between them, or more
	base         uint64        // elements that were written well before heard
	heard        time.Duration // when the peer was last heard, or it or the epoch began
	asked        time.Duration // when something was sent that it has not answered; 0 = not yet
	starts       uint64        // of the Pulse, as far as it was looked at
	started      bool          // the peer has started, which has not led to anything yet
	renewed      time.Duration // when an epoch was renewed last; 0 = never
}

// mark is how many elements of the epoch had been written at a time.
type mark struct {
	at      time.Duration
	written uint64
}

// Why an epoch is renewed.
const (
	peerSilent  = "the peer is silent"
	peerStarted = "the peer has started again"
)

// start forgets the peer: the writer starts.
func (r *renewal) start(now time.Duration) {
	r.spoke, r.pause = false, 0
	r.begin(now)
}

// mostPause is the longest pause.
func (r *renewal) mostPause() time.Duration { return max(maxRenewPause, r.after) }

// begin forgets the last epoch.
func (r *renewal) begin(now time.Duration) {
	r.older, r.newer = mark{at: now}, mark{at: now}
	r.base, r.heard, r.asked = 0, now, 0
}

// due tells why the epoch is to be renewed; "" when it is not. written counts
// its elements so far, ring those that the ring holds.
func (r *renewal) due(now time.Duration, written, ring uint64, p *Pulse) string {
	// First the marks as they were when it was last looked: a peer that is heard
	// may be one that was heard long ago.
	switch heard := time.Duration(p.heard.Load()); {
	case heard > r.heard:
		if !r.spoke || heard-r.heard < r.after {
			r.pause = r.after
		}
		r.spoke = true
		r.base, r.heard, r.asked = r.older.written, heard, 0
	case heard != 0 && r.pause == 0: // before the writer started
		r.pause = r.mostPause()
	}
	if now-r.newer.at >= r.after/2 {
		r.older, r.newer = r.newer, mark{now, written}
	}
	if starts := p.starts.Load(); starts != r.starts {
		r.starts, r.started = starts, true
		r.base, r.heard, r.asked = r.older.written, now, 0 // it had no time to speak
	}
	r.started = r.started && written > ring/2 // else it can read everything
	silence := now - r.heard
	if silence >= r.after/2 && r.asked == 0 {
		r.asked = now
	}
	switch {
	case r.renewed != 0 && now-r.renewed < r.after:
		return ""
	case r.started:
		return peerStarted
	case r.pause != 0 && p.active.Load() && silence >= r.pause && now-r.asked >= r.after/2 && written-r.base > ring:
		return peerSilent
	}
	return ""
}

// revive is called before something is sent. It begins a new epoch for a
// peer that seems to be stuck. Readers that sleep until they are woken are ours, which
// recover: for them silence means nothing.
func (s *Sender) revive() {
	if s.renewal.after == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.w.Active() {
		return
	}
	now := s.now()
	why := s.renewal.due(now, s.w.Written(), uint64(s.w.Elements()), s.cfg.Pulse)
	if why == "" || (why == peerSilent && s.wakes) {
		return
	}
	s.renewal.renewed, s.renewal.started = now, false
	if why == peerSilent {
		s.renewal.pause = min(2*s.renewal.pause, s.renewal.mostPause())
	}
	s.renewals++
	old := s.w.Written()
	if fault := region.Guard(func() { s.w.Renew(s.w.Epoch() + 1) }); fault != nil {
		s.faulted(fault)
		return
	}
	s.begin()
	s.cfg.Log.Warn("a new epoch has begun on the out-channel, in case its reader is stuck", "reason", why, "written", old, "renewals", s.renewals)
	s.bell.RingAll()
}
