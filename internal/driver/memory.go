package driver

import (
	"errors"

	"github.com/muennet/muennet/internal/region"
)

// check finds out what became of the memory of a channel, and acts on it:
//
//	another file has the name   it takes the region's place
//	memory is missing           the direction stops
//	memory is back              the direction starts again
//	no file has the name        the status says so; the region stays in use
//
// Memory can go away without a fault: reads of a PCI device that was removed
// return zeros, and writes are lost or reach the device that has got its
// address. No event reports that, so such memory is checked every second.
// check reports whether there is nothing to wait for.
func (e *end) check() (well bool) {
	if !e.owner.mu.TryLock() {
		return false // busy: the next round tries again
	}
	r, closed := e.region, e.owner.isClosed()
	e.owner.mu.Unlock()
	if closed {
		return true
	}
	found := errUnmapped
	if r != nil {
		found = r.Look()
	}
	switch {
	case errors.Is(found, region.ErrReplaced):
		if e.replace(r, found) {
			return false // the new region has not been checked
		}
	case errors.Is(found, region.ErrFault):
		e.lose(r, found)
	default:
		e.setFile(r, found)
		e.forwarder.mend()
	}
	whole := e.restore()
	return whole && found == nil && r.Kind() != region.PCI
}

// fault is fail for callers that do not hold owner.mu.
func (e *end) fault(err error) {
	e.owner.mu.Lock()
	defer e.owner.mu.Unlock()
	e.fail(err)
}

// fail records that memory is missing; the forwarder has stopped. From now on
// the patrol checks for it more often. The caller holds owner.mu.
func (e *end) fail(err error) {
	if !e.stopped() {
		e.owner.log.Error("channel stopped", "channel", e.name, "err", err)
		e.restoring.begin()
	}
	e.err = err
	e.owner.d.patrol.hint()
}

// update calls f with owner.mu held, unless the interface was closed or e has
// got another region than r.
func (e *end) update(r *region.Region, f func()) {
	e.owner.mu.Lock()
	defer e.owner.mu.Unlock()
	if !e.owner.isClosed() && e.region == r {
		f()
	}
}

// lose stops a direction whose memory went away without a fault.
func (e *end) lose(r *region.Region, why error) {
	e.update(r, func() {
		if !e.stopped() {
			e.forwarder.stop()
			e.fail(why)
		}
	})
}

// restore starts a stopped direction again once all of its memory is there. To
// find that out may take long; owner.mu is free then. restore reports whether
// the direction does not wait for memory.
func (e *end) restore() bool {
	e.owner.mu.Lock()
	r, stopped := e.region, e.stopped()
	wait := e.owner.isClosed() || r == nil || !stopped || !e.restoring.due()
	e.owner.mu.Unlock()
	if wait {
		return !stopped
	}
	err := r.Restore()
	e.update(r, func() {
		e.err = err
		switch {
		case err == nil:
			e.owner.log.Info("channel's memory is back", "channel", e.name)
			e.start()
		case errors.Is(err, region.ErrNoMemory):
			e.restoring.again()
		}
	})
	return false // until the next check
}

// setFile records what became of the region's file, and logs each change once.
func (e *end) setFile(r *region.Region, what error) {
	e.update(r, func() {
		if text(what) == text(e.file) {
			return
		}
		if e.file = what; what == nil {
			e.owner.log.Info("channel's file is back", "channel", e.name)
		} else {
			e.owner.log.Warn("channel goes on in memory that others may not find", "channel", e.name, "err", what)
		}
	})
}

// checkPMTU finds out whether the table of path MTUs is still the file of its
// name. Devices may be reading it at any time, so another file waits for the
// next load; until then the status says so.
func (p *parent) checkPMTU() {
	if p.pmtu == nil {
		return
	}
	found := p.pmtu.Look()
	if !p.mu.TryLock() {
		return // as in check: a busy interface does not hold up the patrol
	}
	defer p.mu.Unlock()
	if p.isClosed() || text(found) == text(p.pmtuFile) {
		return
	}
	if p.pmtuFile = found; found != nil {
		p.log.Warn("path MTUs are not those of the file of that name: load the interface again", "pmtu", p.cfg.PMTU, "err", found)
	}
}
