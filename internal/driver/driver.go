package driver

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/shortage"
)

// Options of a Driver. The zero value is usable.
type Options struct {
	// Channels is the directory of channels given by name; empty means
	// region.DefaultDir.
	Channels string
	// State is the file that remembers devices over a crash; empty means that
	// only devices in the caller's network namespace are found again.
	State string
	// Log receives what an administrator should know; nil means nothing does. It
	// is used under locks and must not block, as a journal.Queue does not.
	Log *slog.Logger
	// NoBPF loads no eBPF programs: marks are not carried, as on a kernel
	// without them.
	NoBPF bool
}

// Driver is a set of interfaces.
type Driver struct {
	opt      Options
	state    stateFile
	patrol   patrol
	markless sync.Once      // the warning that marks are not carried
	work     sync.WaitGroup // goroutines that act on events
	saving   sync.Mutex     // held from reading the set to writing it down

	change sync.Mutex // held, from begin on, while the set is changed and what leaves it is closed
	left   []record   // by an earlier process, as the state file told; set once
	unread bool       // left has not been set yet
	probed bool       // the first interface has found out what can be had of marks
	closed bool       // guarded by change

	mu      sync.Mutex // guards the fields below; nothing is waited for under it
	parents []*parent
	watcher *link.Watcher // nil: nothing was loaded yet
	keeping bool          // checkKept runs
	stopped chan struct{} // closed by stop; set by New
}

// New returns a Driver without interfaces.
func New(opt Options) *Driver {
	if opt.Channels == "" {
		opt.Channels = region.DefaultDir()
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	d := &Driver{opt: opt, state: stateFile{path: opt.State}, stopped: make(chan struct{})}
	d.patrol.parents = d.all
	d.unread = d.recall() != nil
	return d
}

// recall reads what an earlier process has left. Only a shortage is an error, as
// it passes: all that is remembered would be forgotten.
func (d *Driver) recall() (err error) {
	d.left, err = d.state.read()
	if shortage.Is(err) {
		return fmt.Errorf("read state: %w", err)
	}
	if err != nil {
		d.opt.Log.Warn("state is not read", "err", err)
	}
	return nil
}

// Load creates the interfaces of cfg in the calling thread's network namespace
// and returns their names. When one cannot be had none is kept, and the error
// says which one and why; it is a [*config.Error] when cfg breaks a rule.
func (d *Driver) Load(cfg Config) (names []string, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := d.enter(); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	defer d.change.Unlock()
	if cfg.Channels == "" {
		cfg.Channels = d.opt.Channels
	}
	if cfg.Poll == 0 {
		cfg.Poll = config.DefaultPoll
	}
	if names, err = d.load(cfg); err != nil {
		return nil, shortage.Explain(err)
	}
	return names, nil
}

// load is Load after begin, with a complete configuration.
func (d *Driver) load(cfg Config) (names []string, err error) {
	if d.unread {
		if err := d.recall(); err != nil {
			return nil, err
		}
		d.unread = false
	}
	if err := d.room(cfg); err != nil {
		return nil, err
	}
	loaded, err := d.createAll(cfg)
	if err == nil {
		d.mu.Lock()
		d.parents = append(d.parents, loaded...)
		d.mu.Unlock()
		err = d.settle(loaded)
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

// settle follows new interfaces, and takes over what a crash left to them:
// children and names. What cannot be followed would never come up.
func (d *Driver) settle(loaded []*parent) error {
	for _, p := range loaded {
		err := p.watch()
		if err != nil {
			err = fmt.Errorf("follow interface: %w", err)
		} else if err = d.adoptChildren(p); err == nil {
			err = p.giveName()
		}
		if err != nil {
			return fmt.Errorf("interface %s: %w", p.cfg.Name, err)
		}
		if p.adopted {
			p.keep(p.at().netns)
		}
	}
	return nil
}

// createAll returns what it has created also when it fails in the middle.
func (d *Driver) createAll(cfg Config) (loaded []*parent, err error) {
	for _, i := range cfg.Interfaces {
		p, err := d.create(i, cfg)
		if err != nil {
			return loaded, fmt.Errorf("interface %s: %w", i.Name, err)
		}
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
	for _, p := range loaded {
		if err == nil && p.marking.in != nil && !d.probed {
			p.port.Prepare()
			if err = p.marking.in.shortage(); err != nil {
				err = fmt.Errorf("interface %s: %w", p.cfg.Name, err)
			}
			d.probed = err == nil
			break
		}
	}
	return loaded, err
}

// forEach calls f for all interfaces, several at a time: to load an eBPF program
// or to remove a device takes the kernel some 10 ms, mostly of waiting.
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

// Unload removes the named interfaces; without a name it removes nothing. A name
// that is not here is an error before anything is removed.
func (d *Driver) Unload(names ...string) error {
	if err := d.enter(); err != nil {
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
	if err := d.enter(); err != nil {
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

func (d *Driver) find(names []string) ([]*parent, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []*parent
	for _, name := range names {
		i := slices.IndexFunc(d.parents, func(p *parent) bool { return p.name() == name })
		if i < 0 {
			return nil, d.notLoaded(name)
		}
		if !slices.Contains(found, d.parents[i]) {
			found = append(found, d.parents[i])
		}
	}
	return found, nil
}

// notLoaded says that name is none of the interfaces that can be unloaded. The
// caller holds mu.
func (d *Driver) notLoaded(name string) error {
	for _, p := range d.parents {
		if p.kid(name) != nil {
			return fmt.Errorf("%s %w %s: remove it with del_child", name, api.ErrChild, p.name())
		}
	}
	return fmt.Errorf("%s: %w", name, api.ErrUnknown)
}

// forget takes p out of the set.
func (d *Driver) forget(p *parent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.parents = slices.DeleteFunc(d.parents, func(other *parent) bool { return other == p })
}

// all returns the interfaces of now in the order of their loads.
func (d *Driver) all() []*parent {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.parents)
}

// Close removes all interfaces. After it requests fail with api.ErrClosed.
func (d *Driver) Close() error {
	d.begin()
	d.remove(d.all())
	d.closed = true
	d.change.Unlock()
	d.stop()
	d.patrol.end()
	return nil
}

// stop ends what follows interfaces. There are none any more, and none can come.
func (d *Driver) stop() {
	d.mu.Lock()
	watcher := d.watcher
	select {
	case <-d.stopped:
	default:
		close(d.stopped)
	}
	d.mu.Unlock()
	if watcher != nil {
		watcher.Close()
	}
	d.work.Wait()
}

// save writes the state file. That it cannot be written costs an adoption after
// a crash, not the interfaces.
func (d *Driver) save() {
	if d.opt.State == "" || d.unread { // what is there is not ours to replace
		return
	}
	d.saving.Lock()
	defer d.saving.Unlock()
	d.mu.Lock()
	records := make([]record, 0, len(d.parents))
	for _, p := range d.parents {
		records = append(records, p.record())
	}
	d.mu.Unlock()
	// What was left behind and not adopted yet may be by a later load.
	for _, r := range d.left {
		if !slices.ContainsFunc(records, func(own record) bool { return own.Alias == r.Alias }) && r.exists() {
			records = append(records, r)
		}
	}
	if err := d.state.write(records); err != nil {
		d.opt.Log.Warn("state is not saved", "err", err)
	}
}
