package driver

import (
	"errors"
	"time"

	"github.com/muennet/muennet/internal/region"
)

// faultRetry is how often a region that went away is looked for again, and one
// that can go away without a fault is looked at.
const faultRetry = time.Second

// fault is faulted for who does not hold mu.
func (p *parent) fault(r *region.Region, where *error, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faulted(r, where, err)
}

// faulted notes that a region went away, and has it waited for unless somebody
// does already. where is p.inErr or p.outErr.
func (p *parent) faulted(r *region.Region, where *error, err error) {
	waiting := errors.Is(*where, region.ErrFault)
	*where = err
	if !waiting {
		p.log.Error("channel is stopped", "channel", r.Name(), "err", err)
		go p.await(r, where)
	}
}

// await waits until a region that went away is whole again and takes its
// direction up anew.
func (p *parent) await(r *region.Region, where *error) {
	p.look(func() bool { return p.recovered(r, where) })
}

// look calls done at each faultRetry until it is true or the interface is closed.
func (p *parent) look(done func() bool) {
	tick := time.NewTicker(faultRetry)
	defer tick.Stop()
	for {
		select {
		case <-p.closed:
			return
		case <-tick.C:
		}
		if done() {
			return
		}
	}
}

// recovered takes a direction up anew if its region is whole again. It is also
// true when somebody else has done so.
func (p *parent) recovered(r *region.Region, where *error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if *where == nil {
		return true
	}
	if p.isClosed() || r.Intact() != nil {
		return false
	}
	*where = nil
	p.log.Info("channel is whole again", "channel", r.Name())
	if r == p.out {
		p.startOut()
	} else {
		p.startIn()
	}
	return true
}
