package demo

import (
	"context"
	"fmt"
	"net"

	"github.com/muennet/muennet/internal/netlab"
)

// The child of the demonstration and the mark whose packets it gets.
const (
	childName   = "child0"
	childMark   = 7
	markedCount = 100
)

// marks adds a child interface to the right host. The child receives all
// packets that the left host sends with its mark, and no others.
func (d *demo) marks(ctx context.Context) error {
	if err := d.right.client.AddChild(ctx, "net0", childName); err != nil {
		return err
	}
	if err := d.right.client.AddMark(ctx, childName, childMark); err != nil {
		return err
	}
	if err := d.right.Up(childName); err != nil {
		return err
	}
	left, err := d.left.client.Interface(ctx, "net0")
	if err != nil {
		return err
	}
	if left.Marking.Outgoing != "active" {
		d.say("marks", "skipped, marks are not carried: %s", left.Marking.Outgoing)
		return nil
	}
	for _, mark := range []uint32{childMark + 1, 0, childMark} {
		if err := d.left.sendMarked(mark, markedCount); err != nil {
			return err
		}
	}
	if err := d.right.childGets(ctx, markedCount); err != nil {
		return err
	}
	d.say("marks", "%s, a child of net0 on right, gets all %d packets with mark %d and none of %d others", childName, markedCount, childMark, 2*markedCount)
	return nil
}

// sendMarked sends UDP datagrams with a Netfilter mark to the other host. They
// need no receiver: the interface counts them.
func (h *host) sendMarked(mark uint32, count int) error {
	return h.In(func() error {
		dial := net.Dialer{Control: netlab.Marked(mark)}
		// The discard port (RFC 863) of an address that no host has: no
		// ICMP error comes back.
		c, err := dial.Dial("udp4", "192.168.1.99:9")
		if err != nil {
			return err
		}
		defer c.Close()
		for range count {
			if _, err := c.Write([]byte("muennet")); err != nil {
				return fmt.Errorf("send with mark %d: %w", mark, err)
			}
		}
		return nil
	})
}

// childGets waits until the child has received want packets. More are an error.
func (h *host) childGets(ctx context.Context, want uint64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var got uint64
	err := netlab.Until(ctx, func() error {
		s, err := h.client.Interface(ctx, "net0")
		if err != nil {
			return err
		}
		for _, c := range s.Children {
			if c.Name == childName {
				got = c.Stats.RxPackets
			}
		}
		if got < want {
			return fmt.Errorf("%s has got %d of %d packets", childName, got, want)
		}
		return nil
	})
	if err == nil && got > want {
		err = fmt.Errorf("%s has got %d packets, only %d had its mark", childName, got, want)
	}
	return err
}
