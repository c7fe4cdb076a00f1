package driver

import (
	"sync"
	"time"

	"github.com/muennet/muennet/internal/region"
)

// How long it is from one round of the patrol to the next.
const (
	calmRound     = 10 * time.Second       // all is well, and the kernel tells of changes
	restlessRound = time.Second            // one of both is not so
	hintedRound   = 200 * time.Millisecond // after the kernel told of a change: one seldom comes alone
)

// patrol looks after the memory of the channels of a driver: one timer for all of
// them. While all is well it has the kernel tell of changes, and looks by itself
// only seldom, for changes that the kernel does not tell of.
type patrol struct {
	parents func() []*parent

	turn sync.Mutex // one round at a time

	mu      sync.Mutex // guards the fields below
	hinted  bool       // something has changed since the round began
	timer   *time.Timer
	watcher *region.Watcher // nil: the kernel does not tell
	ended   bool
}

// begin is called when there are other channels than before.
func (p *patrol) begin() {
	p.unwatch()
	p.hint()
}

// end ends the patrol for good. A round that is under way is not waited for.
func (p *patrol) end() {
	p.mu.Lock()
	p.ended = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.unwatch()
}

// round looks at all channels. Without any the patrol ends until there are some.
func (p *patrol) round() {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.mu.Lock()
	p.hinted = false
	p.mu.Unlock()
	parents := p.parents()
	well := look(parents)
	if well && p.watch(parents) {
		well = look(parents) // what changed before the watch began
	}
	if !well || len(parents) == 0 {
		p.unwatch() // it watches what was there before
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

// schedule says when the next round is. The caller holds mu.
func (p *patrol) schedule(after time.Duration) {
	switch {
	case p.ended:
	case p.timer == nil:
		p.timer = time.AfterFunc(after, p.round)
	default:
		p.timer.Reset(after)
	}
}

// look reports whether all is well.
func look(parents []*parent) bool {
	well := true
	for _, p := range parents {
		for _, e := range p.ends {
			well = e.check() && well
		}
		p.checkPMTU()
	}
	return well
}

// watch has the kernel tell of changes. It reports whether it did not so far.
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
		return false // then it is looked for each second
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

// hint is called when something has changed.
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
