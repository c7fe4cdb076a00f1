package driver

import (
	"errors"
	"log/slog"
	"os"
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
	marking marking // none without openMarks
	// changed is told each new state of the interface, in order, with mu held.
	changed func(link.State)

	mu     sync.Mutex
	handle *link.Handle // of the namespace where the device is
	netns  uint64
	state  link.State // as last reported
	closed chan struct{}

	following sync.Mutex // held by watch
}

// watch follows the device into the namespace where it is now and applies the
// state it has there. On an error the device is deleted, or f is closed, or the
// system is short of something.
func (f *followed) watch() error {
	f.following.Lock()
	defer f.following.Unlock()
	for {
		if settled, err := f.rebind(); err != nil || settled {
			f.refresh()
			return err
		}
	}
}

// lost tells that watch has failed.
func (f *followed) lost(err error) {
	if !errors.Is(err, os.ErrClosed) {
		f.log.Warn("interface cannot be followed", "err", err)
	}
}

// rebind finds out where the device is. It is settled if the device is still
// there once events from there are heard: an earlier move was announced to
// nobody.
func (f *followed) rebind() (settled bool, err error) {
	fd, err := f.dev.NetNS()
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	handle, id, err := f.d.watches.acquire(fd)
	if err != nil {
		return false, err
	}
	index, err := f.dev.Index()
	if err != nil {
		f.d.watches.release(id)
		return false, err
	}
	f.mu.Lock()
	if f.isClosed() {
		f.mu.Unlock()
		f.d.watches.release(id)
		return false, os.ErrClosed
	}
	before := f.netns
	f.handle, f.netns, f.state.Index = handle, id, index
	f.mu.Unlock()
	f.d.watches.release(before)

	now, err := f.dev.NetNS()
	if err != nil {
		return false, err
	}
	defer unix.Close(now)
	return link.NSID(now) == id, nil
}

// refresh asks for the interface's state. Events tell later changes; those that
// were under way when the watch began are covered by asking after it. The lock
// keeps the answer from being taken for news after a newer event.
func (f *followed) refresh() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.handle == nil {
		return
	}
	if state, err := f.handle.ByIndex(f.state.Index); err == nil {
		f.note(state)
	}
}

// apply takes note of a new state that was seen in a namespace, if the device
// is still there.
func (f *followed) apply(netns uint64, state link.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.netns == netns && f.state.Index == state.Index {
		f.note(state)
	}
}

// note takes note of a new state. The caller holds mu.
func (f *followed) note(state link.State) {
	if !f.isClosed() {
		f.state = state
		f.changed(state)
	}
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

func (f *followed) place() place {
	f.mu.Lock()
	defer f.mu.Unlock()
	return place{Alias: f.alias, Index: f.state.Index, NetNS: f.netns}
}

// inNetNS runs fn in the namespace where the device is.
func (f *followed) inNetNS(fn func() error) error {
	fd, err := f.dev.NetNS()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return link.InNetNS(fd, fn)
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

func (f *followed) setCarrier(on bool) {
	if err := f.dev.SetCarrier(on); err != nil && !errors.Is(err, os.ErrClosed) && !f.dev.Gone() {
		f.log.Warn("carrier is not set", "err", err)
	}
}
