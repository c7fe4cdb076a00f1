package driver

import (
	"log/slog"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/tuntap"
)

// followed is a device that is known wherever the administrator takes it: by
// its descriptor, and from that by namespace and index, never by name.
type followed struct {
	d       *Driver
	log     *slog.Logger
	dev     *tuntap.Device
	alias   string
	adopted bool
	// changed is told each new state of the interface, in order, with mu held.
	changed func(link.State)

	mu     sync.Mutex
	handle *link.Handle // of the namespace where the device is
	netns  uint64
	state  link.State // as last reported
	closed chan struct{}
}

// watch follows the device into the namespace where it is now and applies the
// state it has there.
func (f *followed) watch() {
	if err := f.rebind(); err != nil {
		f.log.Warn("interface cannot be followed", "err", err)
		return
	}
	f.refresh()
}

// rebind finds out where the device is.
func (f *followed) rebind() error {
	fd, err := f.dev.NetNS()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	handle, id, err := f.d.watches.acquire(fd)
	if err != nil {
		return err
	}
	index, err := f.dev.Index()
	if err != nil {
		f.d.watches.release(id)
		return err
	}
	f.mu.Lock()
	before := f.netns
	f.handle, f.netns, f.state.Index = handle, id, index
	f.mu.Unlock()
	f.d.watches.release(before)
	return nil
}

// refresh asks for the interface's state. Events tell later changes; those that
// were under way when the watch began are covered by asking after it.
func (f *followed) refresh() {
	f.mu.Lock()
	handle, index := f.handle, f.state.Index
	f.mu.Unlock()
	if state, err := handle.ByIndex(index); err == nil {
		f.apply(state)
	}
}

// apply takes note of a new state.
func (f *followed) apply(state link.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isClosed() {
		return
	}
	f.state = state
	f.changed(state)
}

func (f *followed) isAt(netns uint64, index int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.netns == netns && f.state.Index == index
}

func (f *followed) name() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state.Name
}

func (f *followed) record() record {
	f.mu.Lock()
	defer f.mu.Unlock()
	return record{Alias: f.alias, Index: f.state.Index, NetNS: f.netns}
}

func (f *followed) isClosed() bool {
	select {
	case <-f.closed:
		return true
	default:
		return false
	}
}

// end marks the device as closed; false if it was already.
func (f *followed) end() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isClosed() {
		return false
	}
	close(f.closed)
	return true
}

// dispose closes the device, which goes away unless it is to be kept.
func (f *followed) dispose(keep bool) {
	if f.dev == nil {
		return
	}
	if !keep && !f.dev.Gone() {
		if err := f.dev.SetPersist(false); err != nil {
			f.log.Warn("interface stays behind", "err", err)
		}
	}
	f.dev.Close()
	f.d.watches.release(f.netns)
}
