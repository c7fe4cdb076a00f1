package driver

import (
	"sync"
	"time"
)

// How soon after one change of the carrier the next one is followed: after each
// twice as late, until no change has come for a while.
const (
	firstHold = 50 * time.Millisecond
	mostHold  = 500 * time.Millisecond
	calmAfter = 2 * time.Second
)

// holdDown decides when to follow what comes and goes as it likes. A change after
// some calm is followed at once, others are held, so that at most a few per second
// are seen; the last one always is. The zero value has followed false.
//
//	wanted     ‾|_|‾|_|‾|_|‾|_|‾|_|‾|_|‾|___________
//	followed   ‾|__|‾‾‾|_________|‾‾‾‾‾‾‾‾‾‾‾‾‾|____
//	           at once, 50 ms, 100 ms, 200 ms ...
type holdDown struct {
	wanted, followed bool
	hold             time.Duration
	heard            time.Time // of the last change
	until            time.Time // nothing is followed before
}

// want notes a change.
func (h *holdDown) want(now time.Time, state bool) {
	if now.Sub(h.heard) >= calmAfter {
		h.reset()
	}
	h.wanted, h.heard = state, now
}

// reset has the next change followed at once.
func (h *holdDown) reset() { h.hold, h.until = 0, time.Time{} }

// next tells how long to wait until wanted is to be followed: 0 means now. ok is
// false if it is followed already.
func (h *holdDown) next(now time.Time) (wait time.Duration, ok bool) {
	return max(0, h.until.Sub(now)), h.wanted != h.followed
}

// follow follows what is wanted, and holds what comes next.
func (h *holdDown) follow(now time.Time) bool {
	h.followed = h.wanted
	h.hold = min(max(firstHold, 2*h.hold), mostHold)
	h.until = now.Add(h.hold)
	return h.followed
}

// presence tells the devices of an interface whether its peer is there. For that
// the kernel takes its lock of all interfaces, and waits for it as long as others
// hold it; so a goroutine of its own asks the kernel, which runs while there is
// something to tell.
type presence struct {
	tell func(present bool) // all devices

	mu     sync.Mutex
	hold   holdDown
	busy   bool // run runs
	closed bool
	wake   chan struct{} // ends the waiting of run; nil if it does not wait
	ended  sync.WaitGroup

	// telling is held while devices are told, so that they are told in order.
	telling sync.Mutex
	told    bool
}

// follow takes note of the peer's state. It does not block.
func (p *presence) follow(present bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold.want(time.Now(), present)
	if _, due := p.hold.next(time.Now()); due && !p.busy && !p.closed {
		p.busy = true
		p.ended.Go(p.run)
	}
}

// reset has the next change followed at once: what made the last ones was not
// the peer.
func (p *presence) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold.reset()
	p.rouse()
}

// close ends the telling, and returns when nothing is being told any more.
func (p *presence) close() {
	p.mu.Lock()
	p.closed = true
	p.rouse()
	p.mu.Unlock()
	p.ended.Wait()
}

// rouse has run look again. The caller holds mu.
func (p *presence) rouse() {
	if p.wake != nil {
		close(p.wake)
		p.wake = nil
	}
}

// run tells what is to be told, until there is nothing.
func (p *presence) run() {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.busy = false }()
	for !p.closed {
		now := time.Now()
		wait, due := p.hold.next(now)
		switch {
		case !due:
			return
		case wait > 0:
			p.sleep(wait)
		default:
			present := p.hold.follow(now)
			p.mu.Unlock()
			p.telling.Lock()
			p.told = present
			p.tell(present)
			p.telling.Unlock()
			p.mu.Lock()
		}
	}
}

// sleep waits, without mu, which the caller holds.
func (p *presence) sleep(d time.Duration) {
	wake := make(chan struct{})
	p.wake = wake
	p.mu.Unlock()
	timer := time.NewTimer(d)
	select {
	case <-wake:
	case <-timer.C:
	}
	timer.Stop()
	p.mu.Lock()
	p.wake = nil
}

// join tells one more device what the others have been told.
func (p *presence) join(tell func(present bool)) {
	p.telling.Lock()
	defer p.telling.Unlock()
	tell(p.told)
}
