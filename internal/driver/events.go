package driver

import (
	"errors"
	"os"
	"slices"
	"time"

	"github.com/muennet/muennet/internal/link"
)

// watchNetNS subscribes to the link events of a namespace. The first call makes
// the calling thread's namespace the watcher's home.
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

// event passes a link event on to the devices that it concerns. It does not
// wait for them.
func (d *Driver) event(ev link.Event) {
	concerned := slices.DeleteFunc(d.devices(), func(n *netdev) bool { return !n.concerns(ev) })
	if ev.Kind == link.Died && len(concerned) > 0 {
		d.opt.Log.Warn("network namespace has ended, and its interfaces with it", "netns", ev.NetNS)
	}
	for _, n := range concerned {
		n.post(ev)
	}
}

// devices returns those of all parents and children.
func (d *Driver) devices() (all []*netdev) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.parents {
		all = append(all, &p.netdev)
		for _, c := range p.family.all() {
			all = append(all, &c.netdev)
		}
	}
	return all
}

// concerns reports whether an event is about the device, as far as is known.
func (n *netdev) concerns(ev link.Event) bool {
	at := n.at()
	switch ev.Kind {
	case link.Missed:
		return true
	case link.Died:
		return at.netns == ev.NetNS
	}
	return at.netns == ev.NetNS && at.index == ev.State.Index
}

// handle acts on an event of the device. Calls do not overlap.
func (n *netdev) handle(ev link.Event) {
	switch ev.Kind {
	case link.Changed:
		n.report(ev.NetNS, ev.State)
	case link.Died:
		if n.at().netns == ev.NetNS {
			n.orphaned.Store(true)
			n.d.collect()
		}
	default: // it was moved or deleted
		n.retrack()
	}
}

// retrack tracks a device that may have been moved or deleted. In a shortage it
// tries again until it knows.
func (n *netdev) retrack() {
	for tries := 0; ; tries++ {
		before := n.at()
		err := n.track()
		switch {
		case err == nil:
			if n.at().netns != before.netns {
				n.moved()
				n.d.save()
			}
			return
		case n.isClosed(), errors.Is(err, os.ErrClosed):
			return
		case n.gone():
			n.d.collect()
			return
		}
		if tries == 0 {
			n.log.Warn("interface cannot be tracked now", "err", err)
		}
		select {
		case <-n.closed:
			return
		case <-time.After(trackRetry):
		}
	}
}
