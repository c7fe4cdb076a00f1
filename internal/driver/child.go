package driver

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/datapath"
	"github.com/muennet/muennet/internal/link"
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
	d.begin()
	defer d.change.Unlock()
	p, err := d.parentNamed(parentName)
	if err != nil {
		return fmt.Errorf("add child %s: %w", name, err)
	}
	p.mu.Lock()
	mtu := p.mtu
	p.mu.Unlock()
	c, err := d.newChild(p, childAlias(p, name), tuntap.Config{Name: name}, mtu)
	if err != nil {
		return fmt.Errorf("add child %s: %w", name, err)
	}
	p.adopt(c)
	if err := c.watch(); err != nil {
		c.post(link.Event{Kind: link.Missed})
	}
	d.save()
	d.opt.Log.Info("child added", "child", c.name(), "parent", parentName)
	return nil
}

// DeleteChild removes a child; its marks go back to the parent.
func (d *Driver) DeleteChild(name string) error {
	d.begin()
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
	d.begin()
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
	d.begin()
	defer d.change.Unlock()
	c, err := d.childNamed(name)
	if err != nil {
		return fmt.Errorf("delete mark: %w", err)
	}
	if !c.take(mark) {
		return fmt.Errorf("delete mark: %d %w %s", mark, ErrNotHeld, name)
	}
	c.route(mark, nil)
	d.save()
	d.opt.Log.Info("mark deleted", "child", name, "mark", mark)
	return nil
}

// giveMark enters a mark that nobody holds.
func (d *Driver) giveMark(c *child, mark uint32) error {
	if mark == 0 {
		return ErrZeroMark
	}
	for _, other := range c.parent.kids() {
		if slices.Contains(other.held(), mark) {
			return fmt.Errorf("%d is held by %s", mark, other.name())
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

// adopt makes c a child of p.
func (p *parent) adopt(c *child) {
	p.family.Lock()
	p.children = append(p.children, c)
	p.family.Unlock()
	// From now on it hears of changes; of those before it is told here.
	p.presence.join(func(present bool) { p.followPeer(present, &c.followed) })
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
			return nil, fmt.Errorf("%s %w %s: a child cannot have children", name, ErrChild, p.name())
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
	return fmt.Errorf("%s: %w", name, ErrUnknown)
}

// foreignError is about an interface of that name, which is not ours.
type foreignError string

func (e foreignError) Error() string        { return string(e) + " is not an interface of muennet" }
func (e foreignError) Is(target error) bool { return target == ErrUnknown }

// newChild makes a child's device in its parent's namespace or, with cfg.Adopt,
// takes the existing one of that name in the calling thread's.
func (d *Driver) newChild(p *parent, alias string, cfg tuntap.Config, mtu int) (_ *child, err error) {
	c := &child{
		followed: followed{d: d, alias: alias, adopted: cfg.Adopt, log: d.logOf(cfg.Name), closed: make(chan struct{})},
		parent:   p,
	}
	c.changed = c.follow
	cfg.Kind, cfg.MultiQueue, cfg.VnetHdr = tuntap.TUN, true, p.offload.vnet
	if !cfg.Adopt {
		err = c.makeDevice(cfg, mtu)
	} else if err = c.openDevice(cfg); err == nil {
		c.openMarks()
	}
	if err != nil {
		c.dispose(cfg.Adopt)
		return nil, err
	}
	c.port = datapath.NewPort(datapath.PortConfig{Device: c.dev, Marks: c.marking.port(), Skip: p.skip(), Merge: c.offload.tcp, Log: c.log})
	c.outbound = datapath.NewOutbound(datapath.OutboundConfig{
		Device: c.dev, Sender: p.sender, Skip: p.skip(), Offload: c.offload.vnet, Marks: c.marking.queues, PMTU: p.newPMTU(), Answers: c.port,
	})
	go c.outbound.Run()
	return c, nil
}

// openDevice opens a child's device in the calling thread's namespace.
func (c *child) openDevice(cfg tuntap.Config) (err error) {
	if c.dev, err = tuntap.Open(cfg); err != nil {
		return err
	}
	c.offload, err = openOffload(c.dev, c.parent.offload.vnet)
	return err
}

// makeDevice makes a child's device in its parent's namespace.
func (c *child) makeDevice(cfg tuntap.Config, mtu int) error {
	fd, err := c.parent.dev.NetNS()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	name := cfg.Name
	here := link.IsCurrent(fd)
	if !here {
		if err := tuntap.CheckName(name); err != nil {
			return fmt.Errorf("interface %q: %w", name, err)
		}
		cfg.Name = travelName
	}
	if err := c.openDevice(cfg); err != nil {
		return err
	}
	if err := configure(c.dev, c.alias, mtu, nil); err != nil {
		return err
	}
	if err := c.dev.SetCarrier(c.parent.cfg.Carrier == CarrierAdmin); err != nil {
		return err
	}
	c.openMarks() // queues, too, are attached here
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

// adoptChildren takes over the children that a crashed process left to p, with
// their marks.
func (d *Driver) adoptChildren(p *parent) {
	for _, r := range d.left {
		if r.Alias != p.alias {
			continue
		}
		for _, c := range r.Children {
			if err := d.adoptChild(p, c); err != nil {
				p.log.Warn("child is not taken over", "alias", c.Alias, "err", err)
			}
		}
	}
}

// adoptChild takes over one child, if it is still there.
func (d *Driver) adoptChild(p *parent, r childRecord) error {
	var c *child
	err := r.visit(func(wanted func(link.State) bool) error {
		found, err := leftBehind(wanted)
		if err != nil || len(found) == 0 {
			return err
		}
		c, err = d.newChild(p, r.Alias, tuntap.Config{Name: found[0].Name, Adopt: true}, 0)
		return err
	})
	if err != nil || c == nil {
		return err
	}
	p.adopt(c)
	for _, mark := range r.Marks {
		if err := d.giveMark(c, mark); err != nil {
			c.log.Warn("mark is not restored", "err", err)
		}
	}
	if err := c.watch(); err != nil {
		c.post(link.Event{Kind: link.Missed})
	}
	c.keep(c.at().netns)
	return nil
}
