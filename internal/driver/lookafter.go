package driver

import (
	"errors"

	"github.com/muennet/muennet/internal/region"
)

// lookAfter finds out what became of the memory of a channel, and acts on it:
//
//	another file has the name         it is taken over
//	the region is not whole any more  the direction stops
//	it is whole again                 the direction goes on
//	no file has the name              this is shown, and the old one used on
//
// Memory can go away without a fault: what is read of a PCI device that was
// removed are zeros, and what is written is lost, or is written to another
// device that has its address then. Such memory is looked at each second, for
// nothing tells of it. lookAfter reports whether there is nothing to wait for.
func (p *parent) lookAfter(e *end) (well bool) {
	if !p.mu.TryLock() {
		return false // something else goes on: in a second, then
	}
	r, closed := e.region, p.isClosed()
	p.mu.Unlock()
	if closed {
		return true
	}
	found := errUnmapped
	if r != nil {
		found = r.Look()
	}
	switch {
	case errors.Is(found, region.ErrReplaced):
		if p.takeOver(e, r, found) {
			return false // the new one has not been looked at
		}
	case errors.Is(found, region.ErrFault):
		p.lose(e, r, found)
	default:
		p.note(e, r, found)
		if e == p.out {
			p.sender.Mend()
		}
	}
	whole := p.recover(e)
	return whole && found == nil && r.Kind() != region.PCI
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

// lookAtPMTU finds out whether the table of path MTUs is still the file of its
// name. Devices may be reading it at any time: another one needs another load,
// so this is shown and no more.
func (p *parent) lookAtPMTU() {
	if p.pmtu == nil {
		return
	}
	found := p.pmtu.Look()
	if !p.mu.TryLock() {
		return // as lookAfter: an interface that hangs does not hold up the patrol
	}
	defer p.mu.Unlock()
	if p.isClosed() || text(found) == text(p.pmtuFile) {
		return
	}
	if p.pmtuFile = found; found != nil {
		p.log.Warn("path MTUs are not those of the file of that name: load the interface again", "pmtu", p.cfg.PMTU, "err", found)
	}
}

// note shows what became of the file of a region, and logs it once.
func (p *parent) note(e *end, r *region.Region, what error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed() || e.region != r || text(what) == text(e.file) {
		return
	}
	e.file = what
	if what == nil {
		p.log.Info("channel's file is back", "channel", e.name)
	} else {
		p.log.Warn("channel goes on in memory that others may not find", "channel", e.name, "err", what)
	}
}
