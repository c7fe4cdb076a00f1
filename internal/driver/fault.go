package driver

import (
	"errors"

	"github.com/muennet/muennet/internal/region"
)

// fault is faulted for callers that do not hold mu.
func (p *parent) fault(e *end, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faulted(e, err)
}

// faulted notes that memory of a channel went away, of which the forwarder has
// stopped. The patrol looks after it from now on.
func (p *parent) faulted(e *end, err error) {
	if !e.stopped() {
		p.log.Error("channel is stopped", "channel", e.name, "err", err)
		e.retry.begin()
	}
	e.err = err
	p.d.patrol.hint()
}

// recover takes a direction up again when all of its memory is there. To find
// that out may take a while, in which mu is not held. It reports whether the
// direction does not wait for memory.
func (p *parent) recover(e *end) bool {
	p.mu.Lock()
	r, stopped := e.region, e.stopped()
	wait := p.isClosed() || r == nil || !stopped || !e.retry.due()
	p.mu.Unlock()
	if wait {
		return !stopped
	}
	err := r.Restore()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed() || e.region != r {
		return false
	}
	e.err = err
	switch {
	case err == nil:
		p.log.Info("channel is whole again", "channel", e.name)
		p.resume(e)
	case errors.Is(err, region.ErrNoMemory):
		e.retry.again()
	}
	return false // not before the next look
}
