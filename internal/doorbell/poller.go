package doorbell

import (
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// poller looks at the words of all channels of a process that have been quiet
// for a while and whose writers do not ring. One goroutine that wakes up every
// millisecond costs as much for a hundred channels as for one; a hundred that
// sleep for themselves cost a hundred times that.
type poller struct {
	mu      sync.Mutex
	entries []*entry
	running bool
}

// entry is a Listener that sleeps.
type entry struct {
	l         *Listener
	wc, epoch uint32 // as seen before the sleep
	interval  time.Duration
	next      time.Time
}

// quiet is the process's poller.
var quiet poller

// add has a Listener interrupted, with polled set, when its words change.
func (p *poller) add(e *entry) {
	e.next = time.Now().Add(e.interval)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries = append(p.entries, e)
	if !p.running {
		p.running = true
		go p.run()
	}
}

func (p *poller) remove(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.entries, e); i >= 0 {
		p.entries = slices.Delete(p.entries, i, i+1)
	}
}

// run looks until there is nothing left to look at.
func (p *poller) run() {
	debug.SetPanicOnFault(true)
	for {
		next, more := p.look(time.Now())
		if !more {
			return
		}
		time.Sleep(time.Until(next))
	}
}

// look looks at the entries whose time has come and returns when the next one's
// comes. Without entries the poller stops running.
func (p *poller) look(now time.Time) (next time.Time, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.entries {
		if !now.Before(e.next) {
			e.next = now.Add(e.interval)
			if e.changed() {
				e.l.polled.Store(true)
				e.l.Interrupt()
			}
		}
		if next.IsZero() || e.next.Before(next) {
			next = e.next
		}
	}
	p.running = len(p.entries) > 0
	return next, p.running
}

// changed reports whether there is something to look into: other words, or a
// region that is gone, which is for the Listener's owner to find out.
func (e *entry) changed() (changed bool) {
	defer func() {
		if recover() != nil {
			changed = true
		}
	}()
	return atomic.LoadUint32(e.l.cfg.WC) != e.wc || atomic.LoadUint32(e.l.cfg.Epoch) != e.epoch
}
