package datapath

import "time"

// busyPoll decides whether an Inbound that found nothing keeps looking instead
// of going to sleep, so that what comes next need not wake it. That pays for
// requests and responses, which come one at a time, each soon after the last.
// It does not for bulk traffic: there the processors have enough to do, and more
// comes of waiting for more.
type busyPoll struct {
	most  time.Duration // how long to look after the last packet; 0: never
	bulk  func() bool   // whether the other direction sends many at a time
	now   func() time.Duration
	yield func()

	last  time.Duration // when something was found
	worth bool          // to look now
	rest  time.Duration // not to be tried before
}

const (
	// fewElements is what a burst has at most that is not bulk traffic.
	fewElements = 2
	// mostYield is longer than packets of others take on this processor. Who gets
	// it back later shares it with a program that computes, and does not get it
	// back when a packet comes, as one who sleeps does.
	mostYield = 500 * time.Microsecond
	// restAfter is how long nobody tries then.
	restAfter = 20 * time.Millisecond
)

// found tells that a burst moved elements.
func (b *busyPoll) found(moved int) {
	if b.most == 0 {
		return
	}
	now := b.now()
	b.worth = now-b.last <= b.most && now >= b.rest && moved <= fewElements && !b.bulk()
	b.last = now
}

// again reports whether to look again, and has let others run then.
func (b *busyPoll) again() bool {
	if !b.worth {
		return false
	}
	now := b.now()
	if now-b.last > b.most {
		b.worth = false
		return false
	}
	b.yield()
	if after := b.now(); after-now > mostYield {
		b.worth, b.rest = false, after+restAfter
	}
	return true
}
