package driver

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/datapath"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/names"
	"github.com/muennet/muennet/internal/tuntap"
)

// child is an interface without channels of its own: an endpoint that sends
// through its parent's out-channel and receives the packets of its marks.
type child struct {
	endpoint
	parent *parent
	marks  []uint32 // ascending; guarded by parent.family
}

// newChild prepares a child for its device.
func newChild(p *parent, name, alias string) *child {
	c := &child{parent: p}
	cfg := p.cfg
	cfg.Name = name
	p.mu.Lock()
	cfg.MTU = p.mtu
	p.mu.Unlock()
	c.init(p.d, cfg, alias)
	c.sink, c.pmtu = p.sink, p.pmtu
	return c
}

// open makes a new child's device in its parent's namespace, or adopts the one
// that a crash left there, and runs the child's forwarder.
func (c *child) open() error {
	netns, err := c.parent.dev.NetNS()
	if err != nil {
		return err
	}
	defer unix.Close(netns)
	err = link.InNetNS(netns, func() error {
		found, err := withAlias(c.alias)
		if err != nil {
			return err
		}
		return c.adopt(found)
	})
	if err != nil {
		return err
	}
	name, travels := c.cfg.Name, !c.adopted && !link.IsCurrent(netns)
	if travels {
		if err := names.CheckInterface(name); err != nil {
			return fmt.Errorf("interface %q: %w", name, err)
		}
		name = travelName
	}
	if !c.adopted {
		if err := c.create(name, nil); err != nil {
			return err
		}
	}
	err = c.begin() // attaches queues, which must be done before it travels
	if err == nil && travels {
		err = c.travel(netns)
	}
	return err
}

// travelName is the name of a child until it is in its parent's namespace.
const travelName = "muennet%d"

// travel moves a new device from the calling thread's namespace into its
// parent's. Opened there, its descriptors would keep that namespace alive.
func (c *child) travel(netns int) error {
	index, err := c.dev.Index()
	if err != nil {
		return err
	}
	err = link.Move(index, netns, c.cfg.Name)
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%w: %w", tuntap.ErrNameTaken, err)
	}
	return err
}

// join makes the child one of its parent's, and the forwarder follow the
// interface.
func (c *child) join() error {
	c.parent.family.add(c)
	// From here on the child gets changes of the peer's state; this gives it the
	// present one.
	c.parent.presence.join(func(present bool) { c.parent.showPeer(present, &c.netdev) })
	if err := c.settle(); err != nil {
		return fmt.Errorf("track interface: %w", err)
	}
	return nil
}

// route sends the packets of a mark to a port; nil: the parent's.
func (c *child) route(mark uint32, to *datapath.Port) {
	if c.parent.inbound != nil {
		c.parent.inbound.Route(mark, to)
	}
}

// undo closes a child that could not be set up. One that was there before
// stays.
func (c *child) undo() {
	c.parent.family.remove(c)
	c.close(c.adopted)
}

// close ends the child. Its marks go to the parent first, so that no packet
// goes to a device that is being closed.
func (c *child) close(keep bool) {
	if !c.beginClose() {
		return
	}
	for _, mark := range c.held() {
		c.route(mark, nil)
	}
	c.release(keep)
}
