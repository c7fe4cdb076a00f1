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

// netdev is a TUN/TAP device that the driver knows wherever the administrator
// moves it: by its descriptor, which tells its namespace and index, never by
// name.
type netdev struct {
	d       *Driver
	log     *slog.Logger
	alias   string
	dev     *tuntap.Device // nil until it is adopted or created
	adopted bool

	// changed gets each new state of the interface, in order, with mu held.
	changed func(link.State)
	// moved is called after the device has come into another namespace.
	moved func()

	// mu may be held as long as a forwarder takes to start or stop, so nothing
	// that concerns other devices waits for it.
	mu     sync.Mutex
	state  link.State // as last reported
	closed chan struct{}

	location atomic.Pointer[location] // changed with mu held; nil: not tracked yet
	orphaned atomic.Bool              // its namespace has ended
	pinned   atomic.Uint64            // the namespace that a descriptor pins; 0: only home

	tracking sync.Mutex // held by track
	inbox    inbox
}

// location is where a device was last seen.
type location struct {
	name  string
	index int
	netns uint64
}

// at returns the location, without waiting.
func (n *netdev) at() location {
	if l := n.location.Load(); l != nil {
		return *l
	}
	return location{}
}

func (n *netdev) name() string { return n.at().name }

// inbox holds the events that a device has not handled yet. While there are
// any, one goroutine handles them.
type inbox struct {
	mu    sync.Mutex
	busy  bool
	queue []link.Event
}

// post queues an event for a goroutine of this device alone, so that a device
// that has to wait holds up no other. It replaces a state that is still queued.
func (n *netdev) post(ev link.Event) {
	in := &n.inbox
	in.mu.Lock()
	defer in.mu.Unlock()
	if last := len(in.queue) - 1; last >= 0 && ev.Supersedes(in.queue[last]) {
		in.queue[last] = ev
		return
	}
	in.queue = append(in.queue, ev)
	if !in.busy {
		in.busy = true
		n.d.work.Go(n.handleAll)
	}
}

func (n *netdev) handleAll() {
	in := &n.inbox
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.queue) > 0 {
		ev := in.queue[0]
		in.queue = in.queue[1:]
		in.mu.Unlock()
		n.handle(ev)
		in.mu.Lock()
	}
	in.busy, in.queue = false, nil
}

// track subscribes to the link events of the namespace that the device is in
// and applies the state it has there. On an error the device is deleted, or n
// is closed, or the system is short of something.
func (n *netdev) track() error {
	n.tracking.Lock()
	defer n.tracking.Unlock()
	for {
		if settled, err := n.locate(); err != nil || settled {
			return errors.Join(err, n.refresh())
		}
	}
}

// locate finds out where the device is. The location is settled if the device
// is still there after the subscription: an earlier move may have sent its
// event to no subscriber.
func (n *netdev) locate() (settled bool, err error) {
	fd, err := n.dev.NetNS()
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	id, err := n.d.watchNetNS(fd)
	if err != nil {
		return false, err
	}
	index, err := n.dev.Index()
	if err != nil {
		return false, err
	}
	n.mu.Lock()
	if n.isClosed() {
		n.mu.Unlock()
		return false, os.ErrClosed
	}
	n.state.Index = index
	n.location.Store(&location{name: n.state.Name, index: index, netns: id})
	n.mu.Unlock()

	now, err := n.dev.NetNS()
	if err != nil {
		return false, err
	}
	defer unix.Close(now)
	return link.NSID(now) == id, nil
}

// refresh asks the kernel for the interface's state. It covers the changes
// before the subscription; events tell the later ones. Holding mu keeps an old
// answer from overtaking a newer event. Only a shortage is an error: any other
// means that the device is gone, which an event tells.
func (n *netdev) refresh() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	err := n.request(func(h *link.Handle, index int) error {
		state, err := h.ByIndex(index)
		if err == nil {
			n.setState(state)
		}
		return err
	})
	if shortage.Is(err) {
		return err
	}
	return nil
}

// errMoved says that the device is not where it was last seen.
var errMoved = errors.New("interface was moved")

// request sends requests about the device to its namespace. The handle is open
// only so long, as it keeps the namespace alive. The caller holds mu.
func (n *netdev) request(requests func(h *link.Handle, index int) error) error {
	fd, err := n.dev.NetNS()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	at := n.at()
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

// report takes a new state that was seen in a namespace, if the device is still
// there.
func (n *netdev) report(netns uint64, state link.State) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if at := n.at(); at.netns == netns && at.index == state.Index {
		n.setState(state)
	}
}

// setState passes on a new state. The kernel repeats itself, and sends events
// for changes that State does not have. The caller holds mu.
func (n *netdev) setState(state link.State) {
	if n.isClosed() || n.state.Equal(state) {
		return
	}
	n.state = state
	n.location.Store(&location{name: state.Name, index: state.Index, netns: n.at().netns})
	n.changed(state)
}

// rename renames the interface where it is.
func (n *netdev) rename(name string) error {
	n.mu.Lock()
	err := n.request(func(h *link.Handle, index int) error { return h.SetName(index, name) })
	n.mu.Unlock()
	return errors.Join(err, n.refresh())
}

// inNetNS runs fn in the namespace that the device is in.
func (n *netdev) inNetNS(fn func() error) error {
	fd, err := n.dev.NetNS()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return link.InNetNS(fd, fn)
}

func (n *netdev) setCarrier(on bool) {
	if err := n.dev.SetCarrier(on); err != nil && !errors.Is(err, os.ErrClosed) && !n.dev.Gone() {
		n.log.Warn("carrier not set", "err", err)
	}
}

func (n *netdev) record() deviceRecord {
	at, cfg := n.at(), n.dev.Config()
	return deviceRecord{Alias: n.alias, Index: at.index, NetNS: at.netns, Kind: cfg.Kind, MultiQueue: cfg.MultiQueue}
}

// gone reports whether the kernel has deleted the device, or is about to.
func (n *netdev) gone() bool { return n.orphaned.Load() || n.dev.Gone() }

func (n *netdev) isClosed() bool {
	select {
	case <-n.closed:
		return true
	default:
		return false
	}
}

// beginClose marks the device as closed; false: it was already.
func (n *netdev) beginClose() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.isClosed() {
		return false
	}
	close(n.closed)
	return true
}

// delete has the kernel delete the device when its last descriptor is closed.
func (n *netdev) delete() {
	if n.dev.Gone() {
		return
	}
	if err := n.dev.SetPersist(false); err != nil {
		n.log.Warn("interface not deleted", "err", err)
	}
}
