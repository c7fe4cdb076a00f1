package driver

import (
	"errors"
	"fmt"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/shortage"
	"github.com/muennet/muennet/internal/tuntap"
)

// adopt takes over one of the devices that a crash left, if it can. One that a
// process uses is not ours. One of another kind cannot be used: another load of
// the same channels left it, and it is deleted. On an error ep has to be
// closed.
func (ep *endpoint) adopt(found []leftover) error {
	cfg := ep.deviceConfig()
	for _, l := range found {
		if l.info.Kind != cfg.Kind || l.info.MultiQueue != cfg.MultiQueue {
			err := l.remove()
			if err == nil {
				ep.log.Warn("interface left by a crash has another mode: created a new one", "name", l.state.Name)
			} else if !errors.Is(err, tuntap.ErrNameTaken) {
				return err
			}
			continue
		}
		dev, err := l.open(cfg, ep.alias)
		if errors.Is(err, tuntap.ErrNameTaken) {
			continue
		}
		if err != nil {
			return err
		}
		ep.dev, ep.adopted = dev, true
		return ep.prepare()
	}
	return nil
}

// adoptAnywhere adopts the device that a crashed process left of p, if there is
// one: the one of the state file, in any namespace, or else one of this
// namespace with our alias.
func (p *parent) adoptAnywhere() error {
	for _, r := range p.d.left {
		if r.Alias != p.alias {
			continue
		}
		if err := r.visit(p.adopt); err != nil || p.adopted {
			return err
		}
	}
	found, err := withAlias(p.alias)
	if err != nil {
		return err
	}
	return p.adopt(found)
}

// loadedName returns the name that a crashed process's load gave the interface
// with that alias; "": it is not known.
func (d *Driver) loadedName(alias string) string {
	for _, r := range d.left {
		if r.Alias == alias {
			return r.Name
		}
	}
	return ""
}

// adoptChildren adopts the children that a crashed process left of p, with
// their marks. One that cannot be adopted stays, and the state file remembers
// it.
func (p *parent) adoptChildren() error {
	for _, r := range p.d.left {
		if r.Alias != p.alias {
			continue
		}
		for _, c := range r.Children {
			if p.cfg.Format != element.NetHdr {
				if _, err := c.remove(); err != nil {
					p.log.Warn("child not deleted", "alias", c.Alias, "err", err)
				}
				continue
			}
			err := p.adoptChild(c)
			switch {
			case err == nil:
				continue
			case shortage.Is(err):
				return fmt.Errorf("adopt child: %w", err)
			}
			p.log.Warn("child not adopted", "alias", c.Alias, "err", err)
			p.family.strand(c)
		}
	}
	return nil
}

// adoptChild adopts one child, if it is still there.
func (p *parent) adoptChild(r childRecord) error {
	var c *child
	err := r.visit(func(found []leftover) error {
		if len(found) == 0 {
			return nil
		}
		c = newChild(p, found[0].state.Name, r.Alias)
		err := c.adopt(found)
		if err == nil && !c.adopted {
			err = fmt.Errorf("%s: %w", c.cfg.Name, tuntap.ErrNameTaken)
		}
		return err
	})
	if c == nil {
		return err
	}
	if err == nil {
		err = c.begin()
	}
	if err == nil {
		err = c.join()
	}
	if err != nil {
		c.undo()
		return err
	}
	for _, mark := range r.Marks {
		err := c.addMark(mark)
		if shortage.Is(err) {
			return err
		}
		if err != nil {
			c.log.Warn("mark not restored", "mark", mark, "err", err)
		}
	}
	return nil
}

// Forget deletes the interfaces that a crashed process left behind: those of
// this namespace that have our alias, and those of the state file in any
// namespace. It returns their names. It does not touch interfaces that a
// process uses, and the state file keeps what could not be deleted. If a
// damaged state file is the only problem, the error is a [DamagedStateError].
func Forget(state string) (names []string, err error) {
	file := stateFile{path: state}
	records, readErr := file.read()
	var kept []parentRecord
	for _, r := range records {
		var failed error
		for _, device := range r.devices() {
			removed, err := device.remove()
			names, failed = append(names, removed...), errors.Join(failed, err)
		}
		if failed != nil {
			kept, err = append(kept, r), errors.Join(err, failed)
		}
	}
	found, findErr := leftovers(func(s link.State) bool { return isAlias(s.Alias) })
	removed, removeErr := removeAll(found)
	names, err = append(names, removed...), errors.Join(err, findErr, removeErr)
	switch {
	case readErr == nil:
		err = errors.Join(err, file.write(kept))
	case err == nil:
		err = readErr
	default:
		err = fmt.Errorf("%w; %v", err, readErr)
	}
	return names, shortage.Explain(err)
}
