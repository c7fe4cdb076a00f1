package driver

import (
	"errors"
	"slices"
	"time"

	"github.com/muennet/muennet/internal/region"
)

// patrolEvery is how often the files of all channels are looked at.
const patrolEvery = time.Second

// beginPatrol has the channels looked at as long as there are interfaces. The
// caller holds mu.
func (d *Driver) beginPatrol() {
	if !d.patrolled {
		d.patrolled = true
		time.AfterFunc(patrolEvery, d.patrol)
	}
}

// patrol looks at all channels once: one goroutine for all of them, and none
// between two rounds.
func (d *Driver) patrol() {
	d.mu.Lock()
	parents := slices.Clone(d.parents)
	d.mu.Unlock()
	for _, p := range parents {
		for _, e := range p.ends() {
			p.lookAfter(e)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.patrolled = false
	if len(d.parents) > 0 {
		d.beginPatrol()
	}
}

// lookAfter finds out what became of the memory of a channel, and acts on it:
//
//	another file has the name        it is taken over
//	the region is not whole any more the direction stops
//	it is whole again                the direction goes on
//	no file has the name             this is shown, and the old one used on
//
// Memory can go away without a fault: what is read of a PCI device that was
// removed are zeros, and what is written is lost, or is written to another
// device that has its address then.
func (p *parent) lookAfter(e *end) {
	if !p.mu.TryLock() {
		return // something else goes on: in a second, then
	}
	r, closed := e.region, p.isClosed()
	p.mu.Unlock()
	if closed {
		return
	}
	found := errUnmapped
	if r != nil {
		found = r.Look()
	}
	switch {
	case errors.Is(found, region.ErrReplaced):
		if p.takeOver(e, r, found) {
			return
		}
	case errors.Is(found, region.ErrFault):
		p.lose(e, r, found)
	default:
		p.note(e, r, found)
	}
	p.recover(e)
}

// lose stops a direction whose memory went away without being touched.
func (p *parent) lose(e *end, r *region.Region, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed() || e.region != r || e.stopped() {
		return
	}
	p.halt(e)
	p.faulted(e, why)
}

// note shows what became of the file of a region, and logs it once.
func (p *parent) note(e *end, r *region.Region, what error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed() || e.region != r {
		return
	}
	if text(what) == text(e.file) {
		return
	}
	if e.file = what; what == nil {
		p.log.Info("channel's file is back", "channel", e.name)
		return
	}
	p.log.Warn("channel goes on in memory that others may not find", "channel", e.name, "err", what)
}
