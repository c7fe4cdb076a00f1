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
	f, forget, close := d.at(netns, ev.State.Index)
	if f == nil {
		return
	}
	if !ev.Deleted {
		f.apply(netns, ev.State)
		return
	}
	switch err := f.watch(); {
	case err == nil: // moved to another namespace
		f.moved()
		d.save()
	case f.dev.Gone():
		if forget() {
			d.deleted(f, close)
		}
	default:
		f.lost(err)
	}
}

// deleted is ip link del: what the administrator removes is removed.
func (d *Driver) deleted(f *followed, close func()) {
	f.log.Warn("interface was deleted")
	go func() { // close waits for events of the calling goroutine's kind
		close()
		d.save()
	}()
}

// at returns the device with that index in that namespace, what takes it out of
// the set (false if somebody else did) and what closes it.
func (d *Driver) at(netns uint64, index int) (f *followed, forget func() bool, close func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.parents {
		if p.isAt(netns, index) {
			return &p.followed, func() bool { return d.forget(p) }, func() { p.close(false) }
		}
		for _, c := range p.kids() {
			if c.isAt(netns, index) {
				return &c.followed, c.leave, func() { c.close(false) }
			}
		}
	}
	return nil, nil, nil
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
