package driver

import (
	"fmt"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/shortage"
)

// AddChild makes an interface that shares the channels of a parent, with its
// MTU and in its network namespace. It begins down and without marks.
func (d *Driver) AddChild(parentName, name string) error {
	if err := d.lockOpen(); err != nil {
		return fmt.Errorf("add child %s: %w", name, err)
	}
	defer d.change.Unlock()
	c, err := d.addChild(parentName, name)
	if err != nil {
		return fmt.Errorf("add child %s: %w", name, shortage.Explain(err))
	}
	d.save()
	d.opt.Log.Info("child added", "child", c.name(), "parent", parentName)
	return nil
}

func (d *Driver) addChild(parentName, name string) (*child, error) {
	p, err := d.parentNamed(parentName)
	if err != nil {
		return nil, err
	}
	if err := enough(perChild + spare); err != nil {
		return nil, err
	}
	c := newChild(p, name, childAlias(p, name))
	if err = c.open(); err == nil {
		err = c.join()
	} else {
		err = d.explainChildName(p, name, err)
	}
	if err != nil {
		c.undo()
		return nil, err
	}
	return c, nil
}

// DeleteChild removes a child; its marks go back to the parent.
func (d *Driver) DeleteChild(name string) error {
	return d.changeChild("delete child", name, func(c *child) error {
		c.parent.family.remove(c)
		c.close(false)
		d.opt.Log.Info("child deleted", "child", name)
		return nil
	})
}

// AddMark sends the packets of a mark to a child.
func (d *Driver) AddMark(name string, mark uint32) error {
	return d.changeChild("add mark", name, func(c *child) error {
		if err := c.addMark(mark); err != nil {
			return err
		}
		d.opt.Log.Info("mark added", "child", name, "mark", mark)
		return nil
	})
}

// DeleteMark sends the packets of a mark to the parent again.
func (d *Driver) DeleteMark(name string, mark uint32) error {
	return d.changeChild("delete mark", name, func(c *child) error {
		if !c.drop(mark) {
			return fmt.Errorf("%d %w %s", mark, api.ErrNotHeld, name)
		}
		c.route(mark, nil)
		d.opt.Log.Info("mark deleted", "child", name, "mark", mark)
		return nil
	})
}

// changeChild changes a child for a request, and saves the set.
func (d *Driver) changeChild(request, name string, change func(*child) error) error {
	if err := d.lockOpen(); err != nil {
		return fmt.Errorf("%s: %w", request, err)
	}
	defer d.change.Unlock()
	c, err := d.childNamed(name)
	if err == nil {
		err = change(c)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", request, err)
	}
	d.save()
	return nil
}

// addMark enters a mark that no child has.
func (c *child) addMark(mark uint32) error {
	if mark == 0 {
		return api.ErrZeroMark
	}
	// The first mark attaches a program. A shortage there would look like a kernel
	// that does not support it.
	if err := enough(spare); err != nil {
		return err
	}
	if holder := c.parent.family.holder(mark); holder != nil {
		return fmt.Errorf("%d %w %s", mark, api.ErrHeld, holder.name())
	}
	c.hold(mark)
	c.port.Prepare()
	c.route(mark, c.port)
	return nil
}

// parentNamed returns an interface that can have children.
func (d *Driver) parentNamed(name string) (*parent, error) {
	p, c := d.named(name)
	switch {
	case p == nil:
		return nil, unknown(name)
	case c != nil:
		return nil, fmt.Errorf("%s %w %s: a child cannot have children", name, api.ErrChild, p.name())
	case p.cfg.Format != element.NetHdr:
		return nil, fmt.Errorf("%s is %s: children need a net_hdr parent", name, p.cfg.Format)
	}
	return p, nil
}

// childNamed returns a child.
func (d *Driver) childNamed(name string) (*child, error) {
	p, c := d.named(name)
	switch {
	case p == nil:
		return nil, unknown(name)
	case c == nil:
		return nil, fmt.Errorf("%s is a parent, not a child", name)
	}
	return c, nil
}

// unknown returns the error for a name that is none of ours: a foreign
// interface has it, or none.
func unknown(name string) error {
	handle, err := link.Open(-1)
	if err == nil {
		defer handle.Close()
		if _, err := handle.ByName(name); err == nil {
			return foreignError(name)
		}
	}
	return fmt.Errorf("%s: %w", name, api.ErrUnknown)
}

// foreignError is about an interface of that name that is not ours.
type foreignError string

func (e foreignError) Error() string        { return string(e) + " is not an interface of muennet" }
func (e foreignError) Is(target error) bool { return target == api.ErrUnknown }
