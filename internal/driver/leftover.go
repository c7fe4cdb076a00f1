package driver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/tuntap"
)

// leftover is a persistent TUN/TAP device that may be ours and unused.
type leftover struct {
	state link.State
	info  tuntap.Info
}

// leftovers lists the persistent TUN/TAP devices of the calling thread's
// namespace that wanted accepts.
func leftovers(wanted func(link.State) bool) ([]leftover, error) {
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
		if errors.Is(err, unix.ENODEV) { // it has gone
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

// withAlias lists the leftovers of the calling thread's namespace that have an
// alias.
func withAlias(alias string) ([]leftover, error) {
	return leftovers(func(s link.State) bool { return s.Alias == alias })
}

// find lists the device of the record, if it is in the calling thread's
// namespace.
func (r deviceRecord) find() ([]leftover, error) {
	found, err := leftovers(func(s link.State) bool { return s.Index == r.Index })
	return slices.DeleteFunc(found, func(l leftover) bool { return !l.is(r) }), err
}

// is reports whether this is the device of the record. It has the index, and
// either our alias, or one that is not ours. In the latter case it must also be
// of the kind that we made, with our owner: no program changes these. The
// kernel does not use an index of a namespace again unless it is asked to.
func (l leftover) is(r deviceRecord) bool {
	switch {
	case l.state.Index != r.Index:
		return false
	case isAlias(l.state.Alias):
		return l.state.Alias == r.Alias
	}
	return l.info.Kind == r.Kind && l.info.MultiQueue == r.MultiQueue && l.info.Owner == os.Geteuid()
}

// visit calls f with the device of the record, in its namespace. If the
// namespace has gone, f is not called.
func (r deviceRecord) visit(f func(found []leftover) error) error {
	look := func() error {
		found, err := r.find()
		if err != nil {
			return err
		}
		return f(found)
	}
	if here, err := link.Current(); err == nil {
		own := link.NSID(here) == r.NetNS
		unix.Close(here)
		if own { // to enter it would take a privilege
			return look()
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
	return link.InNetNS(fd, look)
}

// exists reports whether the device is still where it was; in doubt, true.
func (r deviceRecord) exists() (exists bool) {
	err := r.visit(func(found []leftover) error {
		exists = len(found) > 0
		return nil
	})
	return exists || err != nil
}

// remove deletes the device and returns its name; none if it is not there or a
// process uses it.
func (r deviceRecord) remove() (names []string, err error) {
	err = r.visit(func(found []leftover) (err error) {
		names, err = removeAll(found)
		return err
	})
	return names, err
}

// removeAll deletes devices, except those that a process uses, and returns the
// names of those deleted.
func removeAll(found []leftover) (names []string, err error) {
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

// remove deletes the device; tuntap.ErrNameTaken: a process uses it.
func (l leftover) remove() error {
	dev, err := l.attach(tuntap.Config{Kind: l.info.Kind, MultiQueue: l.info.MultiQueue})
	if err != nil {
		return err
	}
	defer dev.Close()
	return dev.SetPersist(false)
}

// open opens the device to use it.
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
	cfg.Name, cfg.Attach = l.state.Name, true
	dev, err := tuntap.Open(cfg)
	if err != nil {
		return nil, err
	}
	index, err := dev.Index()
	if err == nil && index != l.state.Index {
		err = fmt.Errorf("adopt interface %d: %w: %s is interface %d now", l.state.Index, tuntap.ErrNameTaken, l.state.Name, index)
	}
	if err != nil {
		dev.Close()
		return nil, err
	}
	return dev, nil
}

// restoreAlias gives a device of the calling thread's namespace our alias where
// it has none. Another alias stays: it may be a note that a program reads
// later, as container runtimes keep an interface's old name there.
func (l leftover) restoreAlias(alias string) error {
	if l.state.Alias != "" {
		return nil
	}
	handle, err := link.Open(-1)
	if err != nil {
		return err
	}
	defer handle.Close()
	return handle.SetAlias(l.state.Index, alias)
}
