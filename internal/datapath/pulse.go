package datapath

import (
	"sync/atomic"
	"time"

	"github.com/muennet/muennet/shmstream"
)

// Pulse tells a Sender what an Inbound hears of their common peer. One of each
// may use it, at any time. Methods of a nil Pulse do nothing.
type Pulse struct {
	heard  atomic.Int64  // when the last packet came, by clock; 0: never
	starts atomic.Uint64 // how often a writer has started
	active atomic.Bool   // there is a writer

	epoch shmstream.Epoch // the last one; the Inbound's
}

// signs are what a Pulse says at one moment.
type signs struct {
	heard  time.Duration
	starts uint64
	active bool
}

// NewPulse returns a Pulse for a Sender that renews after that long, nil if it
// never does.
func NewPulse(renew time.Duration) *Pulse {
	if renew == 0 {
		return nil
	}
	return new(Pulse)
}

func (p *Pulse) signs() signs {
	return signs{heard: time.Duration(p.heard.Load()), starts: p.starts.Load(), active: p.active.Load()}
}

// hear notes that packets came.
func (p *Pulse) hear(now func() time.Duration) {
	if p != nil {
		p.heard.Store(int64(now()))
	}
}

// setEpoch notes the epoch of the peer's writer. The last one plus 1 is a
// renewal: the peer goes on, its reader too. Were it taken for a start, two
// peers that renew could set each other off for ever.
func (p *Pulse) setEpoch(e shmstream.Epoch) {
	if p == nil || e == 0 || e == p.epoch {
		return
	}
	if p.epoch == 0 || e != p.epoch+1 {
		p.starts.Add(1)
	}
	p.epoch = e
}

// setActive notes whether there is a writer.
func (p *Pulse) setActive(active bool) {
	if p != nil {
		p.active.Store(active)
	}
}
