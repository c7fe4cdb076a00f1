package driver

import (
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/shortage"
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

	// mu may be held as long as a forwarder takes to be told something, so
	// nothing that concerns other devices waits for it.
	mu     sync.Mutex
	state  link.State // as last reported
	closed chan struct{}

	position atomic.Pointer[position] // changed with mu held; nil: never seen
	orphaned atomic.Bool              // its namespace has ended
	kept     atomic.Uint64            // namespace that a descriptor keeps alive; 0: only home

	following sync.Mutex // held by watch
	inbox     inbox
}

// position is where a device was last seen.
type position struct {
	name  string
	index int
	netns uint64
}

// at returns the position. It waits for nothing.
func (f *followed) at() position {
	if p := f.position.Load(); p != nil {
		return *p
	}
	return position{}
}

// inbox holds the events that a device has not acted on yet. One goroutine acts
// on them, while there are any.
type inbox struct {
	mu    sync.Mutex
	busy  bool
	queue []link.Event
}

// post has an event acted on after all that were posted before, on a goroutine of
// this device alone: one that has to wait holds up no other. Of several states
// that wait the last one counts.
func (f *followed) post(ev link.Event) {
	in := &f.inbox
	in.mu.Lock()
	defer in.mu.Unlock()
	if n := len(in.queue); n > 0 && ev.Supersedes(in.queue[n-1]) {
		in.queue[n-1] = ev
		return
	}
	in.queue = append(in.queue, ev)
	if !in.busy {
		in.busy = true
		f.d.work.Go(f.act)
	}
}

func (f *followed) act() {
	in := &f.inbox
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.queue) > 0 {
		ev := in.queue[0]
		in.queue = in.queue[1:]
		in.mu.Unlock()
		f.take(ev)
		in.mu.Lock()
	}
	in.busy, in.queue = false, nil
}

// watch follows the device into the namespace where it is now and applies the
// state it has there. On an error the device is deleted, or f is closed, or the
// system is short of something.
func (f *followed) watch() error {
	f.following.Lock()
	defer f.following.Unlock()
	for {
		if settled, err := f.rebind(); err != nil || settled {
			return errors.Join(err, f.refresh())
		}
	}
}

// rebind finds out where the device is. It is settled if the device is still
// there once events from there are heard: of an earlier move none was heard.
func (f *followed) rebind() (settled bool, err error) {
	fd, err := f.dev.NetNS()
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	id, err := f.d.watchNetNS(fd)
	if err != nil {
		return false, err
	}
	index, err := f.dev.Index()
	if err != nil {
		return false, err
	}
	f.mu.Lock()
	if f.isClosed() {
		f.mu.Unlock()
		return false, os.ErrClosed
	}
	f.state.Index = index
	f.position.Store(&position{name: f.state.Name, index: index, netns: id})
	f.mu.Unlock()

	now, err := f.dev.NetNS()
	if err != nil {
		return false, err
	}
	defer unix.Close(now)
	return link.NSID(now) == id, nil
}

// refresh asks for the interface's state. Events tell later changes; those that
// were under way when the watch began are covered by asking after it. The lock
// keeps the answer from being taken for news after a newer event. Only a shortage
// is an error: of what has become of the device otherwise an event tells.
func (f *followed) refresh() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.ask(func(h *link.Handle, index int) error {
		state, err := h.ByIndex(index)
		if err == nil {
			f.note(state)
		}
		return err
	})
	if shortage.Is(err) {
		return err
	}
	return nil
}

// errMoved is why nothing is asked about a device: it is not where it was.
var errMoved = errors.New("interface was moved")

// ask makes requests about the device where it is. The handle is open for them
// only: it keeps the namespace alive. The caller holds mu.
func (f *followed) ask(requests func(h *link.Handle, index int) error) error {
	fd, err := f.dev.NetNS()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	at := f.at()
	if link.NSID(fd) != at.netns {
		return errMoved
	}
	h, err := link.Open(fd)
	if err != nil {
		return err
	}
	defer h.Close()
	return requests(h, at.index)
}

// apply takes note of a new state that was seen in a namespace, if the device
// is still there.
func (f *followed) apply(netns uint64, state link.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at := f.at(); at.netns == netns && at.index == state.Index {
		f.note(state)
	}
}

// note takes note of a new state. The caller holds mu. The kernel repeats
// itself, and sends events for what State leaves out.
func (f *followed) note(state link.State) {
	if f.isClosed() || f.state.Equal(state) {
		return
	}
	f.state = state
	f.position.Store(&position{name: state.Name, index: state.Index, netns: f.at().netns})
	f.changed(state)
}

func (f *followed) name() string { return f.at().name }

func (f *followed) place() place {
	at, cfg := f.at(), f.dev.Config()
	return place{Alias: f.alias, Index: at.index, NetNS: at.netns, Kind: cfg.Kind, MultiQueue: cfg.MultiQueue}
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

// dispose closes the device, which goes away unless it is to be kept, and what
// carries its marks.
func (f *followed) dispose(keep bool) {
	if f.dev == nil {
		return
	}
	switch {
	case keep:
		// What is attached to an interface that stays is removed where that is.
		_ = f.inNetNS(func() error {
			f.marking.close()
			return nil
		})
	case !f.dev.Gone():
		if err := f.dev.SetPersist(false); err != nil {
			f.log.Warn("interface stays behind", "err", err)
		}
	}
	f.dev.Close()
	f.marking.close()
}

func (f *followed) setCarrier(on bool) {
	if err := f.dev.SetCarrier(on); err != nil && !errors.Is(err, os.ErrClosed) && !f.dev.Gone() {
		f.log.Warn("carrier is not set", "err", err)
	}
}
