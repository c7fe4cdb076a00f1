package datapath

import "time"

// renewal decides when to begin a new epoch for a peer whose reader is stuck:
// once overrun, some readers deliver nothing until the epoch changes. A channel
// says nothing of its readers, so two things count as signs of it.
//
// The peer has fallen silent. A packet of it came since the writer started, but
// none for some time; it has not answered what was sent in the second half of
// that time; and more than a ring was written since shortly before that packet:
// the peer may have sent its last answers when it had been overrun already.
//
//	 a ring or more
//	|--------------|
//	older     newer   heard ........................ sent ........... sending
//	                        ..half of after or more..   ..the same..
//
// Or the peer has started again, and more than half of a ring was written in
// the epoch: some readers begin at the first element of the epoch, however old,
// and are stuck at once if it is gone.
//
// A peer that has nothing to say is silent, too, and each renewal loses what it
// has not read. Therefore:
//
//   - One that was never heard is left alone. That its writer starts is no
//     packet.
//   - The silence has to last twice as long after each renewal that does not
//     make the peer speak. It is short again when the peer speaks soon after a
//     renewal, or twice in a row. One answer long after everything else, as to
//     ARP in the middle of a stream one way, does not show that a renewal
//     helped.
//   - In an epoch in which the peer was not heard, but before, the silence has
//     to last longest. So no reader is stuck for ever.
//   - No epoch is renewed twice within after.
type renewal struct {
	after time.Duration // 0: never

	spoke        bool          // the peer was heard since the writer started
	pause        time.Duration // how long it has to be silent; 0: it was never heard
	older, newer milestone     // half of after lies between them, or more
	base         uint64        // elements written well before heard
	heard        time.Duration // when the peer was last heard, or it or the epoch began
	asked        time.Duration // when the first unanswered packet was sent; 0: none yet
	starts       uint64        // the peer's, as last seen
	started      bool          // the peer has started, and no renewal followed yet
	renewed      time.Duration // when an epoch was last renewed; 0: never
}

// milestone is how many elements of the epoch were written at a time.
type milestone struct {
	at      time.Duration
	written uint64
}

// Why an epoch is renewed.
const (
	peerSilent  = "the peer is silent"
	peerStarted = "the peer has started again"
)

// forget forgets the peer.
func (r *renewal) forget() { r.spoke, r.pause = false, 0 }

// begin forgets the last epoch.
func (r *renewal) begin(now time.Duration) {
	r.older, r.newer = milestone{at: now}, milestone{at: now}
	r.base, r.heard, r.asked = 0, now, 0
}

// maxPause is the longest pause.
func (r *renewal) maxPause() time.Duration { return max(maxRenewPause, r.after) }

// due returns why the epoch should be renewed, "" if it should not. written is
// the number of its elements so far, ring how many the ring holds.
func (r *renewal) due(now time.Duration, written, ring uint64, s signs) string {
	// The milestones first, as they were at the last call: a peer that is heard
	// may have been heard long ago.
	switch {
	case s.heard > r.heard:
		if !r.spoke || s.heard-r.heard < r.after {
			r.pause = r.after
		}
		r.spoke = true
		r.base, r.heard, r.asked = r.older.written, s.heard, 0
	case s.heard != 0 && r.pause == 0: // before the writer started
		r.pause = r.maxPause()
	}
	if now-r.newer.at >= r.after/2 {
		r.older, r.newer = r.newer, milestone{now, written}
	}
	if s.starts != r.starts {
		r.starts, r.started = s.starts, true
		r.base, r.heard, r.asked = r.older.written, now, 0 // it had no time to speak
	}
	r.started = r.started && written > ring/2 // otherwise it can read everything
	silence := now - r.heard
	if silence >= r.after/2 && r.asked == 0 {
		r.asked = now
	}
	switch {
	case r.renewed != 0 && now-r.renewed < r.after:
		return ""
	case r.started:
		return peerStarted
	case r.pause != 0 && s.active && silence >= r.pause && now-r.asked >= r.after/2 && written-r.base > ring:
		return peerSilent
	}
	return ""
}

// done notes a renewal. begin follows.
func (r *renewal) done(now time.Duration, why string) {
	r.renewed, r.started = now, false
	if why == peerSilent {
		r.pause = min(2*r.pause, r.maxPause())
	}
}
