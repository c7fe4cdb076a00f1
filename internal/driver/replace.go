package driver

import (
	"errors"
	"fmt"

	"github.com/muennet/muennet/internal/region"
)

// errUnmapped stands for the state of a file that could not be mapped so far.
var errUnmapped = fmt.Errorf("%w: none was mapped", region.ErrReplaced)

// replace goes on with the file that has the channel's name now, after the
// checks of a load; a writer needs the lock. Until then the old region, if any,
// stays in use. replace reports whether e uses the new one.
func (e *end) replace(old *region.Region, why error) bool {
	p := e.owner
	p.mu.Lock()
	size, due := p.cfg.Format.Size(p.mtu), e.replacing.due()
	p.mu.Unlock()
	if !due {
		return false
	}
	r, err := e.open(size, false) // force= was about another file
	if err == nil {
		if err = e.swap(old, r); err == nil {
			return true
		}
		r.Close()
	}
	if old != nil {
		e.setFile(old, fmt.Errorf("%w; the new one is not usable: %w", why, err))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.region == nil {
		e.err = err
	}
	if !errors.Is(err, region.ErrTooSmall) { // a cheap check, repeated each round
		e.replacing.again()
	}
	return false
}

// swap puts r in the place of the old region. If e has changed since, r is not
// needed and closed. On an error all is as before.
func (e *end) swap(old, r *region.Region) error {
	p := e.owner
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
	if err := e.forwarder.rebind(r); err != nil {
		return err
	}
	e.region, e.err, e.file = r, nil, nil
	e.replacing.begin()
	if old != nil {
		e.replaced++
		old.Close()
	}
	e.warn(r)
	p.log.Info("channel's new file is used", "channel", e.name, "size", r.Size())
	e.start()
	return nil
}
