package driver

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/shortage"
)

// Load creates the interfaces of cfg in the calling thread's network namespace
// and returns their names. If one fails, none is kept, and the error says which
// one and why; it is a [*config.Error] if cfg breaks a rule. What is loaded
// already stays as it is; a [*config.LoadedError] says how it differs.
func (d *Driver) Load(cfg Config) (names []string, err error) {
	if cfg.Channels == "" {
		cfg.Channels = d.opt.Channels
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := d.lockOpen(); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	defer d.change.Unlock()
	if cfg.Poll = cfg.PollAfter(); cfg.Poll > config.LongPoll {
		d.opt.Log.Warn("packets may wait this long in a channel without wake-ups", "poll", cfg.Poll)
	}
	names, missing, err := d.loaded(cfg)
	if err != nil || len(missing) == 0 {
		return names, err
	}
	made, err := d.load(only(cfg, missing))
	if err != nil {
		return nil, shortage.Explain(err)
	}
	for n, i := range missing {
		names[i] = made[n]
	}
	return names, nil
}

// load is Load with a complete configuration. The caller holds change.
func (d *Driver) load(cfg Config) (names []string, err error) {
	if d.unread {
		if err := d.readState(); err != nil {
			return nil, err
		}
		d.unread = false
	}
	if err := d.room(cfg); err != nil {
		return nil, err
	}
	if err := d.createChannels(cfg); err != nil {
		return nil, err
	}
	loaded, err := d.createAll(cfg)
	if err == nil {
		d.mu.Lock()
		d.parents = append(d.parents, loaded...)
		d.mu.Unlock()
		err = settleAll(loaded)
	}
	if err != nil {
		forEach(loaded, func(p *parent) {
			d.forget(p)
			p.undo()
		})
		return nil, err
	}
	d.patrol.begin()
	for _, p := range loaded {
		s := p.status()
		names = append(names, s.Name)
		d.opt.Log.Info("interface loaded", "name", s.Name, "in", s.In, "out", s.Out, "mode", s.Mode, "mtu", s.MTU, "adopted", s.Adopted)
	}
	d.save()
	return names, nil
}

// settleAll makes new interfaces follow their devices, and gives them what a
// crash has left: children and names.
func settleAll(loaded []*parent) error {
	for _, p := range loaded {
		err := p.settle()
		if err == nil {
			err = p.adoptChildren()
		}
		if err == nil {
			err = p.giveName()
		}
		if err != nil {
			return fmt.Errorf("interface %s: %w", p.cfg.Name, err)
		}
	}
	return nil
}

// createAll creates interfaces whose forwarders run, paused. On an error it
// returns those created so far.
func (d *Driver) createAll(cfg Config) (loaded []*parent, err error) {
	for n, i := range cfg.Interfaces {
		p, err := d.newParent(i, cfg)
		if err != nil {
			return loaded, fmt.Errorf("interface %s: %w", i.Name, d.explainName(i.Name, -1, err))
		}
		p.load = alone(cfg, n)
		loaded = append(loaded, p)
	}
	var mu sync.Mutex
	forEach(loaded, func(p *parent) {
		if e := p.begin(cfg); e != nil {
			mu.Lock()
			err = errors.Join(err, fmt.Errorf("interface %s: %w", p.cfg.Name, e))
			mu.Unlock()
		}
	})
	if err == nil {
		err = d.probe(loaded)
	}
	return loaded, err
}

// probe attaches the program for received packets to the first interface that
// has one, so that a warning about marks comes with the load, not with the
// first mark.
func (d *Driver) probe(loaded []*parent) error {
	i := slices.IndexFunc(loaded, func(p *parent) bool { return p.marking.in != nil })
	if d.probed || i < 0 {
		return nil
	}
	p := loaded[i]
	p.port.Prepare()
	if err := p.marking.in.shortage(); err != nil {
		return fmt.Errorf("interface %s: %w", p.cfg.Name, err)
	}
	d.probed = true
	return nil
}

// forEach calls f for all interfaces, eight at a time: to load an eBPF program
// or to delete a device takes the kernel some 10 ms, most of it waiting.
func forEach(parents []*parent, f func(*parent)) {
	const atOnce = 8
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, p := range parents {
		slots <- struct{}{}
		all.Go(func() {
			f(p)
			<-slots
		})
	}
	all.Wait()
}

// Unload removes the named interfaces; without a name it removes nothing. With
// an unknown name it fails before anything is removed.
func (d *Driver) Unload(names ...string) error {
	if err := d.lockOpen(); err != nil {
		return fmt.Errorf("unload: %w", err)
	}
	defer d.change.Unlock()
	found, err := d.find(names)
	if err == nil {
		d.remove(found)
	}
	return err
}

// UnloadAll removes every interface.
func (d *Driver) UnloadAll() error {
	if err := d.lockOpen(); err != nil {
		return fmt.Errorf("unload: %w", err)
	}
	defer d.change.Unlock()
	d.remove(d.all())
	return nil
}

// remove stops and removes interfaces. The caller holds change.
func (d *Driver) remove(gone []*parent) {
	forEach(gone, func(p *parent) {
		d.forget(p)
		p.close(false)
		d.opt.Log.Info("interface removed", "name", p.cfg.Name)
	})
	d.save()
}

// find returns the parents with these names.
func (d *Driver) find(names []string) (found []*parent, err error) {
	for _, name := range names {
		p, c := d.named(name)
		switch {
		case p == nil:
			return nil, fmt.Errorf("%s: %w", name, api.ErrUnknown)
		case c != nil:
			return nil, fmt.Errorf("%s %w %s: remove it with del_child", name, api.ErrChild, p.name())
		case !slices.Contains(found, p):
			found = append(found, p)
		}
	}
	return found, nil
}
