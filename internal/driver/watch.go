package driver

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/link"
)

// watches follow the link events of each network namespace that holds a device.
type watches struct {
	event func(netns uint64, ev link.Event)

	mu     sync.Mutex
	all    map[uint64]*watch
	closed bool
}

// watch is one namespace's.
type watch struct {
	handle *link.Handle
	stop   func()
	users  int
}

// acquire watches the namespace of fd, which stays the caller's.
func (w *watches) acquire(fd int) (*link.Handle, uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, 0, os.ErrClosed
	}
	id := link.NSID(fd)
	if known := w.all[id]; known != nil {
		known.users++
		return known.handle, id, nil
	}
	handle, err := link.Open(fd)
	if err != nil {
		return nil, 0, err
	}
	stop, err := link.Watch(fd, func(ev link.Event) { w.event(id, ev) })
	if err != nil {
		handle.Close()
		return nil, 0, err
	}
	if w.all == nil {
		w.all = make(map[uint64]*watch)
	}
	w.all[id] = &watch{handle: handle, stop: stop, users: 1}
	return handle, id, nil
}

// release gives one acquire back. Stopping waits for the event under way, which
// may be the caller's own: it happens on the side.
func (w *watches) release(id uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := w.all[id]
	if known == nil {
		return
	}
	if known.users--; known.users == 0 {
		delete(w.all, id)
		go known.end()
	}
}

func (w *watches) close() {
	w.mu.Lock()
	all := w.all
	w.all, w.closed = nil, true
	w.mu.Unlock()
	// An event under way may be about to acquire: it must not be waited for
	// under the lock.
	for _, known := range all {
		known.end()
	}
}

func (w *watch) end() {
	w.stop()
	w.handle.Close()
}

// event passes a link event on to the interface it is about.
func (d *Driver) event(netns uint64, ev link.Event) {
	p := d.at(netns, ev.State.Index)
	if p == nil {
		return
	}
	if !ev.Deleted {
		p.apply(netns, ev.State)
		return
	}
	switch err := p.watch(); {
	case err == nil: // moved to another namespace
		d.save()
	case p.dev.Gone():
		d.deleted(p)
	default:
		p.lost(err)
	}
}

// deleted is ip link del: what the administrator removes is removed.
func (d *Driver) deleted(p *parent) {
	if !d.forget(p) {
		return
	}
	p.log.Warn("interface was deleted")
	go func() { // close waits for events of the calling goroutine's kind
		p.close(false)
		d.save()
	}()
}

// at returns the interface with that index in that namespace.
func (d *Driver) at(netns uint64, index int) *parent {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.parents {
		if p.isAt(netns, index) {
			return p
		}
	}
	return nil
}

// openNetNS finds the namespace with that inode number, by its name or by a
// process in it. The caller closes the descriptor.
func openNetNS(id uint64) (int, bool) {
	for _, path := range netnsPaths() {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		if link.NSID(fd) == id {
			return fd, true
		}
		unix.Close(fd)
	}
	return -1, false
}
