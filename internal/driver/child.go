package driver

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/datapath"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/names"
	"github.com/muennet/muennet/internal/shortage"
	"github.com/muennet/muennet/internal/tuntap"
)

// child is an interface that shares its parent's channels: it sends through the
// parent's out-channel and receives the packets of its marks.
type child struct {
	followed
	parent   *parent
	port     *datapath.Port
	outbound *datapath.Outbound
	offload  offloading

	up    bool     // guarded by followed.mu
	marks []uint32 // guarded by parent.family; sorted
}

// AddChild makes an interface that shares the channels of parent, with its MTU
// and in its network namespace. It begins down and without marks.
func (d *Driver) AddChild(parentName, name string) error {
	if err := d.enter(); err != nil {
		return fmt.Errorf("add child %s: %w", name, err)
	}
	defer d.change.Unlock()
	p, err := d.parentNamed(parentName)
	if err != nil {
		return fmt.Errorf("add child %s: %w", name, err)
	}
	p.mu.Lock()
	mtu := p.mtu
	p.mu.Unlock()
	var c *child
	if err = enough(perChild + spare); err == nil {
		c, err = d.newChild(p, childAlias(p, name), name, func(c *child, cfg tuntap.Config) error { return c.makeDevice(cfg, mtu) })
	}
	if err == nil {
		err = p.admit(c)
	}
	if err != nil {
		return fmt.Errorf("add child %s: %w", name, shortage.Explain(err))
	}
	d.save()
	d.opt.Log.Info("child added", "child", c.name(), "parent", parentName)
	return nil
}

// DeleteChild removes a child; its marks go back to the parent.
func (d *Driver) DeleteChild(name string) error {
	if err := d.enter(); err != nil {
		return fmt.Errorf("delete child: %w", err)
	}
	defer d.change.Unlock()
	c, err := d.childNamed(name)
	if err != nil {
		return fmt.Errorf("delete child: %w", err)
	}
	c.leave()
	c.close(false)
	d.save()
	d.opt.Log.Info("child deleted", "child", name)
	return nil
}

// AddMark sends the packets of a mark to a child.
func (d *Driver) AddMark(name string, mark uint32) error {
	if err := d.enter(); err != nil {
		return fmt.Errorf("add mark: %w", err)
	}
	defer d.change.Unlock()
	c, err := d.childNamed(name)
	if err == nil {
		err = d.giveMark(c, mark)
	}
	if err != nil {
		return fmt.Errorf("add mark: %w", err)
	}
	d.save()
	d.opt.Log.Info("mark added", "child", name, "mark", mark)
	return nil
}

// DeleteMark sends the packets of a mark to the parent again.
func (d *Driver) DeleteMark(name string, mark uint32) error {
	if err := d.enter(); err != nil {
		return fmt.Errorf("delete mark: %w", err)
	}
	defer d.change.Unlock()
	c, err := d.childNamed(name)
	if err != nil {
		return fmt.Errorf("delete mark: %w", err)
	}
	if !c.take(mark) {
		return fmt.Errorf("delete mark: %d %w %s", mark, api.ErrNotHeld, name)
	}
	c.route(mark, nil)
	d.save()
	d.opt.Log.Info("mark deleted", "child", name, "mark", mark)
	return nil
}

// giveMark enters a mark that nobody holds.
func (d *Driver) giveMark(c *child, mark uint32) error {
	if mark == 0 {
		return api.ErrZeroMark
	}
	// The first mark attaches a program. What cannot be had then is taken for what
	// the kernel does not have.
	if err := enough(spare); err != nil {
		return err
	}
	for _, other := range c.parent.kids() {
		if slices.Contains(other.held(), mark) {
			return fmt.Errorf("%d %w %s", mark, api.ErrHeld, other.name())
		}
	}
	c.parent.family.Lock()
	i, _ := slices.BinarySearch(c.marks, mark)
	c.marks = slices.Insert(c.marks, i, mark)
	c.parent.family.Unlock()
	c.port.Prepare()
	c.route(mark, c.port)
	return nil
}

// held returns the marks of now, sorted.
func (c *child) held() []uint32 {
	c.parent.family.Lock()
	defer c.parent.family.Unlock()
	return slices.Clone(c.marks)
}

// take takes a mark from the child; false if it is not one of its marks.
func (c *child) take(mark uint32) bool {
	c.parent.family.Lock()
	defer c.parent.family.Unlock()
	i, held := slices.BinarySearch(c.marks, mark)
	if held {
		c.marks = slices.Delete(c.marks, i, i+1)
	}
	return held
}

// admit makes c a child of p, and follows it. On an error c is closed.
func (p *parent) admit(c *child) error {
	p.family.Lock()
	p.children = append(p.children, c)
	p.family.Unlock()
	// From now on it hears of changes; of those before it is told here.
	p.presence.join(func(present bool) { p.followPeer(present, &c.followed) })
	if err := c.watch(); err != nil {
		c.leave()
		c.close(c.adopted)
		return fmt.Errorf("follow interface: %w", err)
	}
	if c.adopted {
		c.keep(c.at().netns)
	}
	return nil
}

func (c *child) route(mark uint32, to *datapath.Port) {
	if c.parent.inbound != nil {
		c.parent.inbound.Route(mark, to)
	}
}

// parentNamed finds an interface that can have children.
func (d *Driver) parentNamed(name string) (*parent, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.parents {
		if p.name() == name {
			if p.cfg.Format != element.NetHdr {
				return nil, fmt.Errorf("%s is %s: children need a net_hdr parent", name, p.cfg.Format)
			}
			return p, nil
		}
		if p.kid(name) != nil {
			return nil, fmt.Errorf("%s %w %s: a child cannot have children", name, api.ErrChild, p.name())
		}
	}
	return nil, d.notOurs(name)
}

// childNamed finds a child.
func (d *Driver) childNamed(name string) (*child, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.parents {
		if c := p.kid(name); c != nil {
			return c, nil
		}
		if p.name() == name {
			return nil, fmt.Errorf("%s is a parent, not a child", name)
		}
	}
	return nil, d.notOurs(name)
}

// notOurs tells a foreign interface from none at all.
func (d *Driver) notOurs(name string) error {
	handle, err := link.Open(-1)
	if err == nil {
		defer handle.Close()
		if _, err := handle.ByName(name); err == nil {
			return foreignError(name)
		}
	}
	return fmt.Errorf("%s: %w", name, api.ErrUnknown)
}

// foreignError is about an interface of that name, which is not ours.
type foreignError string

func (e foreignError) Error() string        { return string(e) + " is not an interface of muennet" }
func (e foreignError) Is(target error) bool { return target == api.ErrUnknown }

// newChild makes a child of the device that open makes or takes over.
func (d *Driver) newChild(p *parent, alias, name string, open func(*child, tuntap.Config) error) (*child, error) {
	c := &child{
		followed: followed{d: d, alias: alias, log: d.logOf(name), closed: make(chan struct{})},
		parent:   p,
	}
	c.changed = c.follow
	if err := open(c, tuntap.Config{Name: name, Kind: tuntap.TUN, MultiQueue: true, VnetHdr: p.offload.vnet}); err != nil {
		c.dispose(c.adopted)
		return nil, err
	}
	c.port = datapath.NewPort(datapath.PortConfig{Device: c.dev, Marks: c.marking.port(), Skip: p.skip(), Merge: c.offload.tcp, Log: c.log})
	c.outbound = datapath.NewOutbound(datapath.OutboundConfig{
		Device: c.dev, Sink: p.sender, Skip: p.skip(), Offload: c.offload.vnet, Marks: c.marking.queues, PMTU: p.newPMTU(), Answers: c.port,
	})
	go c.outbound.Run()
	return c, nil
}

// claim takes over what a crash left of the child, in the calling thread's
// namespace.
func (c *child) claim(l leftover, cfg tuntap.Config) (err error) {
	if c.dev, err = l.open(cfg, c.alias); err != nil {
		return err
	}
	c.adopted = true
	if c.offload, err = openOffload(c.dev, c.parent.offload.vnet); err != nil {
		return err
	}
	return c.openMarks()
}

// makeDevice makes a child's device in its parent's namespace, or takes over the
// one that a crash left there.
func (c *child) makeDevice(cfg tuntap.Config, mtu int) error {
	fd, err := c.parent.dev.NetNS()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = link.InNetNS(fd, func() error {
		found, err := named(c.alias)()
		for _, l := range found {
			if err := c.claim(l, cfg); !errors.Is(err, tuntap.ErrNameTaken) {
				return err
			}
		}
		return err
	})
	if err != nil || c.adopted {
		return err
	}
	name := cfg.Name
	here := link.IsCurrent(fd)
	if !here {
		if err := names.CheckInterface(name); err != nil {
			return fmt.Errorf("interface %q: %w", name, err)
		}
		cfg.Name = travelName
	}
	if c.dev, err = tuntap.Open(cfg); err != nil {
		return err
	}
	if c.offload, err = openOffload(c.dev, c.parent.offload.vnet); err != nil {
		return err
	}
	if err := configure(c.dev, c.alias, mtu, nil); err != nil {
		return err
	}
	if err := c.dev.SetCarrier(c.parent.cfg.Carrier == config.CarrierAdmin); err != nil {
		return err
	}
	if err := c.openMarks(); err != nil { // queues, too, are attached here
		return err
	}
	if !here {
		return c.travel(fd, name)
	}
	return nil
}

// travelName is what a child is called until it is in its parent's namespace.
const travelName = "muennet%d"

// travel moves a new device from the calling thread's namespace into that of its
// parent. Had it been opened there, its descriptor would keep that namespace
// alive.
func (c *child) travel(netnsFD int, name string) error {
	index, err := c.dev.Index()
	if err != nil {
		return err
	}
	err = link.Move(index, netnsFD, name)
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%w: %w", tuntap.ErrNameTaken, err)
	}
	return err
}

// follow brings the forwarder in step with the interface. The caller holds mu.
func (c *child) follow(state link.State) {
	c.port.Expect(state.MTU)
	switch {
	case state.Up && !c.up:
		c.outbound.Resume()
	case !state.Up && c.up:
		c.outbound.Pause()
	}
	c.up = state.Up
}

// close ends the child. Its marks go to the parent first, so that nothing is
// delivered to a device that is going away.
func (c *child) close(keep bool) {
	if !c.end() {
		return
	}
	for _, mark := range c.held() {
		c.route(mark, nil)
	}
	c.outbound.Close()
	c.dispose(keep)
}

// leave takes a child out of its parent's set.
func (c *child) leave() {
	c.parent.family.Lock()
	defer c.parent.family.Unlock()
	c.parent.children = slices.DeleteFunc(c.parent.children, func(other *child) bool { return other == c })
}
