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
}

// recover takes a direction up again when all of its memory is there. To find
// that out may take a while, in which mu is not held.
func (p *parent) recover(e *end) {
	p.mu.Lock()
	r := e.region
	wait := p.isClosed() || r == nil || !e.stopped() || !e.retry.due()
	p.mu.Unlock()
	if wait {
		return
	}
	err := r.Restore()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed() || e.region != r {
		return
	}
	e.err = err
	switch {
	case err == nil:
		p.log.Info("channel is whole again", "channel", e.name)
		p.resume(e)
	case errors.Is(err, region.ErrNoMemory):
		e.retry.again()
	}
}
