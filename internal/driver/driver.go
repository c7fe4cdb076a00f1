package driver

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/shortage"
)

// Options of a Driver. The zero value is usable.
type Options struct {
	// Channels is the directory of channels given by name; empty means
	// region.DefaultDir.
	Channels string
	// State is the file that remembers devices after a crash; empty: only devices
	// in the caller's network namespace are adopted.
	State string
	// Log receives what an administrator should know; nil: it is dropped. It is
	// used under locks and must not block, as a journal.Queue does not.
	Log *slog.Logger
	// Deleted, if not nil, is called after interfaces that the kernel deleted
	// were closed. It is called under locks: it must not block, nor call the
	// Driver.
	Deleted func()
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
	work     sync.WaitGroup // goroutines that handle events
	saving   sync.Mutex     // held from reading the set to writing it

	change sync.Mutex     // held while the set changes, and while what leaves it is closed: see lock
	left   []parentRecord // by an earlier process, from the state file; set once
	unread bool           // left is not set yet
	probed bool           // the first interface has found out whether marks are carried
	closed bool           // guarded by change

	mu       sync.Mutex // guards the fields below; held for moments only
	parents  []*parent
	watcher  *link.Watcher // nil: nothing was loaded yet
	checking bool          // checkPinned runs
	stopped  chan struct{} // closed by stop; set by New
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
	d.unread = d.readState() != nil
	return d
}

// readState reads what an earlier process has left. Only a shortage is an
// error: it passes, and until then the file must not be replaced.
func (d *Driver) readState() (err error) {
	d.left, err = d.state.read()
	if shortage.Is(err) {
		return fmt.Errorf("read state: %w", err)
	}
	if err != nil {
		d.opt.Log.Warn("state not read", "err", err)
	}
	return nil
}

// lock makes the caller the only one to change the set, until it unlocks
// change. It first closes what the kernel has deleted, so that no request meets
// its name, its channels' locks or its marks.
func (d *Driver) lock() {
	d.change.Lock()
	parents, children := d.takeGone()
	if len(parents)+len(children) == 0 {
		return
	}
	for _, c := range children {
		c.log.Warn("interface was deleted")
		c.close(false)
	}
	forEach(parents, func(p *parent) {
		p.log.Warn("interface was deleted")
		p.close(false)
	})
	d.save()
	if d.opt.Deleted != nil {
		d.opt.Deleted()
	}
}

// lockOpen is lock for a request. After Close it is api.ErrClosed, and nothing
// is locked.
func (d *Driver) lockOpen() error {
	d.lock()
	if d.closed {
		d.change.Unlock()
		return api.ErrClosed
	}
	return nil
}

// collect closes what the kernel has deleted. The caller holds no lock.
func (d *Driver) collect() {
	d.lock()
	d.change.Unlock()
}

// takeGone takes what the kernel has deleted out of the set. The caller holds
// change.
func (d *Driver) takeGone() (parents []*parent, children []*child) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.parents = slices.DeleteFunc(d.parents, func(p *parent) bool {
		gone := p.gone()
		if gone {
			parents = append(parents, p)
		}
		return gone
	})
	for _, p := range d.parents {
		for _, c := range p.family.all() {
			if c.gone() {
				p.family.remove(c)
				children = append(children, c)
			}
		}
	}
	return parents, children
}

// forget takes p out of the set.
func (d *Driver) forget(p *parent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.parents = slices.DeleteFunc(d.parents, func(other *parent) bool { return other == p })
}

// all returns the present interfaces in the order of their loads.
func (d *Driver) all() []*parent {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.parents)
}

// named returns the parent of that name, or the child of that name and its
// parent; nil: there is none.
func (d *Driver) named(name string) (*parent, *child) {
	for _, p := range d.all() {
		if p.name() == name {
			return p, nil
		}
		if c := p.family.named(name); c != nil {
			return p, c
		}
	}
	return nil, nil
}

// Close removes all interfaces. Later requests fail with api.ErrClosed.
func (d *Driver) Close() error {
	d.lock()
	d.remove(d.all())
	d.closed = true
	d.change.Unlock()
	d.stop()
	d.patrol.end()
	return nil
}

// stop ends the goroutines that track interfaces. The set is empty and stays
// so.
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

// save writes the state file. If it cannot be written, the interfaces work, but
// after a crash some are not adopted.
func (d *Driver) save() {
	if d.opt.State == "" || d.unread { // the file still has what left is to be
		return
	}
	d.saving.Lock()
	defer d.saving.Unlock()
	d.mu.Lock()
	records := make([]parentRecord, 0, len(d.parents))
	for _, p := range d.parents {
		records = append(records, p.fullRecord())
	}
	d.mu.Unlock()
	// A later load may adopt what this process has not.
	for _, r := range d.left {
		if !slices.ContainsFunc(records, func(own parentRecord) bool { return own.Alias == r.Alias }) && r.exists() {
			records = append(records, r)
		}
	}
	if err := d.state.write(records); err != nil {
		d.opt.Log.Warn("state not saved", "err", err)
	}
}
