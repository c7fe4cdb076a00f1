package datapath

import "time"

// busyPoll decides whether an Inbound that found nothing looks again instead of
// going to sleep, so that the next packet need not wake it. That pays for
// requests and responses, which come one at a time and soon after each other.
// It does not pay for bulk traffic: the processors are busy, and a later look
// finds more.
type busyPoll struct {
	max   time.Duration // how long to look after the last packet; 0: never
	bulk  func() bool   // the other direction sends many packets at a time
	now   func() time.Duration
	yield func()

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
	b.worth = now-b.last <= b.max && now >= b.rest && moved <= fewElements && !b.bulk()
	b.last, b.looks = now, 0
}

// again reports whether to look again. If so, it has let others run first.
func (b *busyPoll) again() bool {
	if !b.worth {
		return false
	}
	now := b.now()
	if spent(now-b.last, b.looks, b.max) {
		b.worth = false
		return false
	}
	b.looks++
	b.yield()
	if after := b.now(); after-now > maxYield {
		b.worth, b.rest = false, after+busyRest
	}
	return true
}
