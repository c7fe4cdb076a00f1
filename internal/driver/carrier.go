package driver

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/tuntap"
)

// startCarrier gives a device its first carrier, before it comes up: the kernel
// drops what is sent without a carrier.
//
// With carrier=admin it stays on. A device begins with a carrier and the
// operational state "unknown", which only a change of the carrier makes "up".
// As there is none, the state is set. A device that is taken over has had
// changes: the kernel takes its carrier away when its process ends, and gives
// it back to the next one.
func startCarrier(dev *tuntap.Device, carrier config.Carrier) error {
	admin := carrier == config.CarrierAdmin
	if err := dev.SetCarrier(admin); err != nil || !admin {
		return err
	}
	index, err := dev.Index()
	if err != nil {
		return err
	}
	fd, err := dev.NetNS()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return link.InNetNS(fd, func() error { return link.SetOperUp(index) })
}

// holdDown dampens a state that may flap. It shows a change after some calm at
// once and holds the next ones, so that it shows a few per second at most; it
// always shows the last one. The zero value shows false.
//
//	wanted   ‾|_|‾|_|‾|_|‾|_|‾|_|‾|_|‾|___________
//	shown    ‾|__|‾‾‾|_________|‾‾‾‾‾‾‾‾‾‾‾‾‾|____
//	         at once, 50 ms, 100 ms, 200 ms ...
type holdDown struct {
	wanted, shown bool
	hold          time.Duration
	changed       time.Time // last change of wanted
	until         time.Time // nothing is shown before
}

// want notes a change.
func (h *holdDown) want(now time.Time, state bool) {
	if now.Sub(h.changed) >= calmAfter {
		h.reset()
	}
	h.wanted, h.changed = state, now
}

// reset lets the next change be shown at once.
func (h *holdDown) reset() { h.hold, h.until = 0, time.Time{} }

// next returns how long to wait until wanted may be shown: 0 means now. ok is
// false if it is shown already.
func (h *holdDown) next(now time.Time) (wait time.Duration, ok bool) {
	return max(0, h.until.Sub(now)), h.wanted != h.shown
}

// show shows what is wanted, and holds the next change.
func (h *holdDown) show(now time.Time) bool {
	h.shown = h.wanted
	h.hold = min(max(firstHold, 2*h.hold), mostHold)
	h.until = now.Add(h.hold)
	return h.shown
}

// presence tells the devices of an interface whether its peer is there. To set
// a carrier the kernel takes its lock of all interfaces, which others may hold
// for long. So a goroutine sets it, which runs while there is something to
// tell.
type presence struct {
	tell func(present bool) // called for all devices together

	mu     sync.Mutex
	hold   holdDown
	busy   bool // run runs
	closed bool
	wake   chan struct{} // ends the sleep of run; nil if it does not sleep
	ended  sync.WaitGroup

	// telling is held while devices are told, to keep the order.
	telling sync.Mutex
	told    bool
}

// set records the peer's state. It does not block.
func (p *presence) set(present bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold.want(time.Now(), present)
	if _, due := p.hold.next(time.Now()); due && !p.busy && !p.closed {
		p.busy = true
		p.ended.Go(p.run)
	}
}

// reset lets the next change be shown at once: the last ones were not the
// peer's.
func (p *presence) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold.reset()
	p.rouse()
}

// close ends the telling and waits for one that is under way.
func (p *presence) close() {
	p.mu.Lock()
	p.closed = true
	p.rouse()
	p.mu.Unlock()
	p.ended.Wait()
}

// rouse wakes run. The caller holds mu.
func (p *presence) rouse() {
	if p.wake != nil {
		close(p.wake)
		p.wake = nil
	}
}

// run tells the devices until there is nothing to tell.
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
			present := p.hold.show(now)
			p.mu.Unlock()
			p.telling.Lock()
			p.told = present
			p.tell(present)
			p.telling.Unlock()
			p.mu.Lock()
		}
	}
}

// sleep releases mu, which the caller holds, while it waits.
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

// join tells one more device what the others were told last.
func (p *presence) join(tell func(present bool)) {
	p.telling.Lock()
	defer p.telling.Unlock()
	tell(p.told)
}
