package datapath

import "time"

// busyPoll decides whether an Inbound that found nothing looks again instead of
// going to sleep, so that the next packet need not wake it. That pays for
// requests and responses, which come one at a time and soon after each other.
// It does not pay for bulk traffic: the processors are busy, and a later look
// finds more.
//
// How long it looks follows from the pauses between packets, as in the halt
// polling of KVM: a pause that a longer look would have covered makes the next
// ones longer, one that none may cover makes them shorter, and bulk traffic
// makes them short again.
type busyPoll struct {
	max   time.Duration // how long to look after the last packet at most; 0: never
	bulk  func() bool   // the other direction sends many packets at a time
	now   func() time.Duration
	yield func()

	bound time.Duration // how long to look at present; 0: to be set
	last  time.Duration // when something was found
	looks int           // since then
	worth bool          // look again
	rest  time.Duration // when to begin again after a long yield
}

// found notes that a burst moved elements.
func (b *busyPoll) found(moved int) {
	if b.max == 0 {
		return
	}
	now := b.now()
	if moved > fewElements || b.bulk() {
		b.bound, b.worth = 0, false
	} else {
		b.tune(now - b.last)
		b.worth = now-b.last <= b.bound && now >= b.rest
	}
	b.last, b.looks = now, 0
}

// tune adapts the bound to the pause before a packet.
func (b *busyPoll) tune(pause time.Duration) {
	switch {
	case pause > b.max:
		b.bound /= 2
	case pause > b.bound:
		b.bound *= 2
	}
	b.bound = min(max(b.bound, leastBound), b.max)
}

// again reports whether to look again. If so, it has let others run first.
func (b *busyPoll) again() bool {
	if !b.worth {
		return false
	}
	now := b.now()
	if spent(now-b.last, b.looks, b.bound) {
		b.worth = false
		return false
	}
	b.looks++
	b.yield()
	if after := b.now(); after-now > maxYield {
		b.worth, b.rest, b.bound = false, after+busyRest, 0
	}
	return true
}
