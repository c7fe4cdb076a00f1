package driver

import (
	"sync"
	"time"

	"github.com/muennet/muennet/api"
)

// Status returns the state of every interface in the order of their loads. It
// returns within little more than a second: for an interface that does not
// answer it returns the last known state, which says so in Stale. Results may
// share what their maps and pointers refer to.
func (d *Driver) Status() []api.Interface {
	parents := d.all()
	answers := make([]<-chan struct{}, len(parents))
	for i, p := range parents {
		answers[i] = p.reporter.ask(p.status)
	}
	late := make(chan struct{})
	timer := time.AfterFunc(statusWait, func() { close(late) })
	defer timer.Stop()
	all := make([]api.Interface, 0, len(parents))
	for i, p := range parents {
		if s := p.report(answers[i], late); s != nil {
			all = append(all, *s)
		}
	}
	return all
}

// report returns the state that was asked for or, if it is late, the last known
// one; nil if the interface is closed.
func (p *parent) report(answer, late <-chan struct{}) *api.Interface {
	select {
	case <-answer: // even if it is late by now
	default:
		select {
		case <-answer:
		case <-late:
			return p.stale()
		}
	}
	s, _ := p.reporter.last()
	return s
}

// stale describes an interface that does not answer.
func (p *parent) stale() *api.Interface {
	if p.isClosed() {
		return nil
	}
	now := p.identity()
	known, when := p.reporter.last()
	if known == nil {
		now.Stale = "does not answer, and never has"
		return &now
	}
	s := *known
	s.Name, s.Index, s.NetNS = now.Name, now.Index, now.NetNS
	s.Stale = "does not answer: state of " + when.Format(time.RFC3339)
	return &s
}

// reporter gathers the status of one interface, on one goroutine of its own.
type reporter struct {
	mu    sync.Mutex
	busy  bool
	next  chan struct{}  // closed when the next status has been gathered
	known *api.Interface // nil: none yet, or the interface is closed
	when  time.Time
}

// ask starts gathering the status and returns a channel that is closed when it
// is there. A status that is being gathered already may be too old.
func (r *reporter) ask(gather func() *api.Interface) (done <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		r.next = make(chan struct{})
	}
	if !r.busy {
		r.busy = true
		go r.run(gather)
	}
	return r.next
}

func (r *reporter) run(gather func() *api.Interface) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.next != nil {
		done := r.next
		r.next = nil
		r.mu.Unlock()
		s := gather()
		r.mu.Lock()
		r.known, r.when = s, time.Now()
		close(done)
	}
	r.busy = false
}

func (r *reporter) last() (s *api.Interface, when time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known, r.when
}
