package driver

import (
	"errors"
	"fmt"

	"github.com/muennet/muennet/internal/region"
)

// errUnmapped is what is found where nothing could be mapped so far.
var errUnmapped = fmt.Errorf("%w: none was mapped", region.ErrReplaced)

// takeOver goes on with the file that has the channel's name now, as if the
// interface were loaded with it: all that a load checks is checked, and the
// writer needs the lock. Until then the old memory, if any, is used. It reports
// whether there is nothing more to do for e.
func (p *parent) takeOver(e *end, old *region.Region, why error) bool {
	p.mu.Lock()
	size, due := p.elementSize(p.mtu), e.takeover.due()
	p.mu.Unlock()
	if !due {
		return false
	}
	r, err := e.open(size, false) // force= was about another file
	if err == nil {
		if err = p.swap(e, old, r); err == nil {
			return true
		}
		r.Close()
	}
	if old != nil {
		p.note(e, old, fmt.Errorf("%w; the new one is not usable: %w", why, err))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.region == nil {
		e.err = err
	}
	if !errors.Is(err, region.ErrTooSmall) { // which costs nothing to find out
		e.takeover.again()
	}
	return false
}

// swap has e use another region, which is closed where there is no use for it.
// On an error all is as before.
func (p *parent) swap(e *end, old, r *region.Region) error {
	if old != nil && (old.Kind() != region.Plain || r.Kind() != region.Plain) {
		return fmt.Errorf("the memory is of another kind, %s: load the interface again", r.Kind())
	}
	if err := r.Allocate(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed() || e.region != old {
		return r.Close()
	}
	if err := p.apart(e, r); err != nil {
		return err
	}
	if err := p.bind(e, r); err != nil {
		return err
	}
	e.region, e.err, e.file = r, nil, nil
	e.takeover.begin()
	if old != nil {
		e.replaced++
		old.Close()
	}
	p.remark(e, r)
	p.log.Info("channel's new file is taken over", "channel", e.name, "size", r.Size())
	p.resume(e)
	return nil
}
