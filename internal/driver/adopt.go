package driver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/shortage"
	"github.com/muennet/muennet/internal/tuntap"
)

// leftover is a persistent TUN/TAP device that may be ours and unused.
type leftover struct {
	state link.State
	info  tuntap.Info
}

// finder lists leftovers of the calling thread's network namespace.
type finder func() ([]leftover, error)

// adopt takes over the device that a crashed process left of p: the one that the
// state file knows, wherever it is, or else one of this namespace with our alias.
// nil without an error: there is none.
func (d *Driver) adopt(p *parent) (dev *tuntap.Device, err error) {
	for _, r := range d.left {
		if r.Alias != p.alias {
			continue
		}
		err := r.visit(func(find finder) (err error) {
			dev, err = p.claim(find)
			return err
		})
		if dev != nil || err != nil {
			return dev, err
		}
	}
	return p.claim(named(p.alias))
}

// asked is the name that the load of a crashed process gave the interface with
// that alias, "" if it is not known.
func (d *Driver) asked(alias string) string {
	for _, r := range d.left {
		if r.Alias == alias {
			return r.Name
		}
	}
	return ""
}

// claim takes over one of the devices found. One that a process serves is not
// ours. One of another mode cannot be used: another load of the same channels
// left it, and it is removed.
func (p *parent) claim(find finder) (*tuntap.Device, error) {
	found, err := find()
	if err != nil {
		return nil, err
	}
	cfg := p.deviceConfig()
	for _, l := range found {
		if l.info.Kind != cfg.Kind || l.info.MultiQueue != cfg.MultiQueue {
			err := l.remove()
			if err != nil && !errors.Is(err, tuntap.ErrNameTaken) {
				return nil, err
			}
			if err == nil {
				p.log.Warn("interface is made anew: what a crash left of it has another mode", "name", l.state.Name)
			}
			continue
		}
		dev, err := l.open(cfg, p.alias)
		if errors.Is(err, tuntap.ErrNameTaken) {
			continue
		}
		return dev, err
	}
	return nil, nil
}

// open opens the device for good.
func (l leftover) open(cfg tuntap.Config, alias string) (*tuntap.Device, error) {
	dev, err := l.attach(cfg)
	if err != nil {
		return nil, err
	}
	if err = dev.SetPersist(true); err == nil {
		err = l.restoreAlias(alias)
	}
	if err != nil {
		dev.Close()
		return nil, err
	}
	return dev, nil
}

// attach opens the device, and no other that has got its name since.
func (l leftover) attach(cfg tuntap.Config) (*tuntap.Device, error) {
	cfg.Name, cfg.Adopt = l.state.Name, true
	dev, err := tuntap.Open(cfg)
	if err != nil {
		return nil, err
	}
	index, err := dev.Index()
	if err == nil && index != l.state.Index {
		err = fmt.Errorf("take over interface %d: %w: %s is interface %d now", l.state.Index, tuntap.ErrNameTaken, l.state.Name, index)
	}
	if err != nil {
		dev.Close()
		return nil, err
	}
	return dev, nil
}

// remove removes the device, unless a process serves it: tuntap.ErrNameTaken.
func (l leftover) remove() error {
	dev, err := l.attach(tuntap.Config{Kind: l.info.Kind, MultiQueue: l.info.MultiQueue})
	if err != nil {
		return err
	}
	defer dev.Close()
	return dev.SetPersist(false)
}

// leftBehind lists this namespace's persistent TUN/TAP devices that wanted picks.
func leftBehind(wanted func(link.State) bool) ([]leftover, error) {
	handle, err := link.Open(-1)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	all, err := handle.List()
	if err != nil {
		return nil, err
	}
	var found []leftover
	for _, s := range all {
		if s.Kind != "tun" || !wanted(s) {
			continue
		}
		info, err := tuntap.Inspect(s.Index)
		if errors.Is(err, unix.ENODEV) { // it went away
			continue
		}
		if err != nil {
			return nil, err
		}
		if info.Persistent {
			found = append(found, leftover{s, info})
		}
	}
	return found, nil
}

// named finds by alias.
func named(alias string) finder {
	return func() ([]leftover, error) {
		return leftBehind(func(s link.State) bool { return s.Alias == alias })
	}
}

// find finds the device of the place.
func (r place) find() ([]leftover, error) {
	found, err := leftBehind(func(s link.State) bool { return s.Index == r.Index })
	return slices.DeleteFunc(found, func(l leftover) bool { return !l.is(r) }), err
}

// is tells whether this is the device whose place was recorded: it has the index,
// and either our alias, or an alias of no interface of ours in its place. The
// latter must have all that no program changes as we made it. An index is not
// given again in its namespace unless somebody asks for it.
func (l leftover) is(r place) bool {
	switch {
	case l.state.Index != r.Index:
		return false
	case isAlias(l.state.Alias):
		return l.state.Alias == r.Alias
	}
	return l.info.Kind == r.Kind && l.info.MultiQueue == r.MultiQueue && l.info.Owner == os.Geteuid()
}

// visit calls f in the namespace of the place. Without such a namespace it does
// nothing.
func (r place) visit(f func(find finder) error) error {
	if here, err := link.Current(); err == nil {
		own := link.NSID(here) == r.NetNS
		unix.Close(here)
		if own { // to enter it would take a privilege
			return f(r.find)
		}
	}
	fd, err := openNetNS(r.NetNS)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return link.InNetNS(fd, func() error { return f(r.find) })
}

// exists tells whether the device is still where it was.
func (r place) exists() (found bool) {
	// In doubt it is not forgotten.
	return r.visit(func(find finder) error {
		all, err := find()
		found = len(all) > 0
		return err
	}) != nil || found
}

// adoptChildren takes over the children that a crashed process left to p, with
// their marks. One that cannot be had stays behind, and is remembered.
func (d *Driver) adoptChildren(p *parent) error {
	for _, r := range d.left {
		if r.Alias != p.alias {
			continue
		}
		for _, c := range r.Children {
			if p.cfg.Format != element.NetHdr {
				if _, err := c.remove(); err != nil {
					p.log.Warn("child stays behind", "alias", c.Alias, "err", err)
				}
				continue
			}
			err := d.adoptChild(p, c)
			switch {
			case err == nil:
				continue
			case shortage.Is(err):
				return fmt.Errorf("take over child: %w", err)
			}
			p.log.Warn("child is not taken over", "alias", c.Alias, "err", err)
			p.family.Lock()
			p.stranded = append(p.stranded, c)
			p.family.Unlock()
		}
	}
	return nil
}

// adoptChild takes over one child, if it is still there.
func (d *Driver) adoptChild(p *parent, r childRecord) error {
	var c *child
	err := r.visit(func(find finder) error {
		found, err := find()
		if err != nil || len(found) == 0 {
			return err
		}
		c, err = d.newChild(p, r.Alias, found[0].state.Name, func(c *child, cfg tuntap.Config) error { return c.claim(found[0], cfg) })
		return err
	})
	if err != nil || c == nil {
		return err
	}
	if err := p.admit(c); err != nil {
		return err
	}
	for _, mark := range r.Marks {
		err := d.giveMark(c, mark)
		if shortage.Is(err) {
			return err
		}
		if err != nil {
			c.log.Warn("mark is not restored", "err", err)
		}
	}
	return nil
}

// remove removes the device of the place and returns its names; none if it is
// not there or served.
func (r place) remove() (names []string, err error) {
	err = r.visit(func(find finder) (err error) {
		names, err = sweep(find)
		return err
	})
	return names, err
}

// sweep removes the devices found, except those that a process serves.
func sweep(find finder) (names []string, err error) {
	found, err := find()
	for _, l := range found {
		switch e := l.remove(); {
		case e == nil:
			names = append(names, l.state.Name)
		case !errors.Is(e, tuntap.ErrNameTaken):
			err = errors.Join(err, e)
		}
	}
	return names, err
}

// Forget removes the interfaces that a crashed process left behind: those of
// this namespace that have our alias, and those the state file knows, here and
// elsewhere. It returns their names. Interfaces that a process serves are left
// alone, and so is the state file's memory of what could not be removed. If all
// is well but that the state file was damaged, the error is a [DamagedStateError].
func Forget(state string) (names []string, err error) {
	file := stateFile{path: state}
	records, readErr := file.read()
	var kept []record
	for _, r := range records {
		var failed error
		for _, at := range places([]record{r}) {
			removed, err := at.remove()
			names, failed = append(names, removed...), errors.Join(failed, err)
		}
		if failed != nil {
			kept, err = append(kept, r), errors.Join(err, failed)
		}
	}
	removed, sweepErr := sweep(func() ([]leftover, error) {
		return leftBehind(func(s link.State) bool { return isAlias(s.Alias) })
	})
	names, err = append(names, removed...), errors.Join(err, sweepErr)
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
