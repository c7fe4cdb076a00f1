package driver

import (
	"sync"
	"time"

	"github.com/muennet/muennet/internal/region"
)

// patrol checks the memory of all channels of a driver, with one timer. While
// all is well the kernel reports changes, and a slow timer finds those that it
// does not report.
type patrol struct {
	parents func() []*parent

	turn sync.Mutex // held by round

	mu      sync.Mutex // guards the fields below
	hinted  bool       // a report has come since the round began
	timer   *time.Timer
	watcher *region.Watcher // nil: the kernel does not report
	ended   bool
}

// begin is called after channels were added.
func (p *patrol) begin() {
	p.unwatch()
	p.hint()
}

// end ends the patrol for good. It does not wait for a round that is under way.
func (p *patrol) end() {
	p.mu.Lock()
	p.ended = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.unwatch()
}

// round checks all channels. Without channels the patrol pauses until begin.
func (p *patrol) round() {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.mu.Lock()
	p.hinted = false
	p.mu.Unlock()
	parents := p.parents()
	well := checkAll(parents)
	if well && p.watch(parents) {
		well = checkAll(parents) // for changes before the watch began
	}
	if !well || len(parents) == 0 {
		p.unwatch() // it watches files that are no longer ours
	}
	for _, parent := range parents {
		parent.tellDrops()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.hinted:
		p.schedule(hintedRound)
	case len(parents) == 0:
	case p.watcher == nil:
		p.schedule(restlessRound)
	default:
		p.schedule(calmRound)
	}
}

// schedule sets the time of the next round. The caller holds mu.
func (p *patrol) schedule(after time.Duration) {
	switch {
	case p.ended:
	case p.timer == nil:
		p.timer = time.AfterFunc(after, p.round)
	default:
		p.timer.Reset(after)
	}
}

// checkAll checks all channels and reports whether all is well.
func checkAll(parents []*parent) bool {
	well := true
	for _, p := range parents {
		for _, e := range p.ends {
			well = e.check() && well
		}
		p.checkPMTU()
	}
	return well
}

// watch asks the kernel to report changes, if it does not yet. began: it does
// from now on.
func (p *patrol) watch(parents []*parent) (began bool) {
	if p.watches() {
		return false
	}
	var paths []string
	for _, parent := range parents {
		for _, e := range parent.ends {
			paths = append(paths, e.path())
		}
		if parent.pmtu != nil {
			paths = append(paths, parent.pmtu.Path())
		}
	}
	w, err := region.Watch(paths, p.hint)
	if err != nil {
		return false // the next round tries again
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		w.Close()
		return false
	}
	p.watcher = w
	return true
}

// hint is called when something may have changed.
func (p *patrol) hint() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hinted = true
	p.schedule(hintedRound)
}

func (p *patrol) watches() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.watcher != nil
}

func (p *patrol) unwatch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watcher != nil {
		p.watcher.Close()
		p.watcher = nil
	}
}
