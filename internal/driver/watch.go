package driver

import (
	"errors"
	"os"
	"slices"
	"time"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/link"
)

// watchNetNS hears of the link events of a namespace from now on. The first call
// makes the calling thread's namespace the one that the watcher is at home in.
func (d *Driver) watchNetNS(fd int) (id uint64, err error) {
	d.mu.Lock()
	if d.watcher == nil {
		d.watcher, err = link.NewWatcher(d.event)
	}
	watcher := d.watcher
	d.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return watcher.Watch(fd)
}

// event passes a link event on to the devices it is about. It waits for none of
// them.
func (d *Driver) event(ev link.Event) {
	concerned := slices.DeleteFunc(d.devices(), func(f *followed) bool { return !f.concerns(ev) })
	if ev.Kind == link.Died && len(concerned) > 0 {
		d.opt.Log.Warn("network namespace has ended, and its interfaces with it", "netns", ev.NetNS)
	}
	for _, f := range concerned {
		f.post(ev)
	}
}

// devices returns those of all parents and children.
func (d *Driver) devices() (all []*followed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.parents {
		all = append(all, &p.followed)
		for _, c := range p.kids() {
			all = append(all, &c.followed)
		}
	}
	return all
}

// concerns tells whether an event is about the device, by what is known of it.
func (f *followed) concerns(ev link.Event) bool {
	at := f.at()
	switch ev.Kind {
	case link.Missed:
		return true
	case link.Died:
		return at.netns == ev.NetNS
	}
	return at.netns == ev.NetNS && at.index == ev.State.Index
}

// take acts on an event. It is called for one event of a device at a time.
func (f *followed) take(ev link.Event) {
	switch ev.Kind {
	case link.Changed:
		f.apply(ev.NetNS, ev.State)
	case link.Died:
		if f.at().netns == ev.NetNS {
			f.orphaned.Store(true)
			f.d.collect()
		}
	default: // it was moved or deleted
		f.trace()
	}
}

// traceRetry is how often a device is looked for that cannot be followed.
const traceRetry = time.Second

// trace finds out what has become of a device. When the system is short of
// something, it keeps trying.
func (f *followed) trace() {
	for tries := 0; ; tries++ {
		before := f.at()
		err := f.watch()
		switch {
		case err == nil:
			if f.at().netns != before.netns {
				f.moved()
				f.d.save()
			}
			return
		case f.isClosed(), errors.Is(err, os.ErrClosed):
			return
		case f.gone():
			f.d.collect()
			return
		}
		if tries == 0 {
			f.log.Warn("interface cannot be followed now", "err", err)
		}
		select {
		case <-f.closed:
			return
		case <-time.After(traceRetry):
		}
	}
}

// gone tells whether the kernel has deleted the device, or is about to.
func (f *followed) gone() bool { return f.orphaned.Load() || f.dev.Gone() }

// begin makes the caller the only one to change the set, until it unlocks
// change. What the kernel has deleted is closed first: so a request never meets
// its name, its channels' locks or its marks.
func (d *Driver) begin() {
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
}

// enter is begin for a request; ErrClosed, without change, after Close.
func (d *Driver) enter() error {
	d.begin()
	if d.closed {
		d.change.Unlock()
		return api.ErrClosed
	}
	return nil
}

// collect closes what the kernel has deleted. The caller holds nothing.
func (d *Driver) collect() {
	d.begin()
	d.change.Unlock()
}

// takeGone takes what the kernel has deleted out of the set: what the
// administrator removes is removed. The caller holds change.
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
		for _, c := range p.kids() {
			if c.gone() {
				c.leave()
				children = append(children, c)
			}
		}
	}
	return parents, children
}
