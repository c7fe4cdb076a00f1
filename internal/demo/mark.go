package demo

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The child of the demonstration and the mark whose packets it gets.
const (
	childName   = "child0"
	childMark   = 7
	markedCount = 100
)

// marks gives the right host a child and sends it marked packets: of those that
// leave the left host with the child's mark it gets all, of the others none.
func (d *demo) marks(ctx context.Context) error {
	if err := d.right.client.AddChild(ctx, "net0", childName); err != nil {
		return err
	}
	if err := d.right.client.AddMark(ctx, childName, childMark); err != nil {
		return err
	}
	if err := d.right.configure(childName, nil); err != nil {
		return err
	}
	left, err := d.left.client.Interface(ctx, "net0")
	if err != nil {
		return err
	}
	if left.Marks.Outgoing != "active" {
		d.say("marks", "not carried here: %s", left.Marks.Outgoing)
		return nil
	}
	for _, mark := range []int{childMark + 1, 0, childMark} {
		if err := d.left.sendMarked(mark, markedCount); err != nil {
			return err
		}
	}
	got, err := d.right.childGets(ctx, markedCount)
	if err != nil {
		return err
	}
	d.say("marks", "%s of net0 on right, mark %d: %d of %d packets with this mark, and none of %d others", childName, childMark, got, markedCount, 2*markedCount)
	return nil
}

// sendMarked sends UDP datagrams with a Netfilter mark to the other host. Nobody
// has to listen: the interface counts them.
func (h *host) sendMarked(mark, count int) error {
	return h.in(func() error {
		dial := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
			if e := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, mark) }); e != nil {
				return e
			}
			return err
		}}
		// Not connected to a port that answers with errors: discard (RFC 863) on
		// an address of nobody's in the network of the other host.
		c, err := dial.Dial("udp4", "192.168.1.99:9")
		if err != nil {
			return fmt.Errorf("send with mark %d: %w", mark, err)
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

// childGets waits until the child has received that many packets, and returns
// how many it has. One packet too many is an error.
func (h *host) childGets(ctx context.Context, want uint64) (uint64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, fmt.Errorf("%s does not get its %d packets", childName, want))
	defer cancel()
	for {
		s, err := h.client.Interface(ctx, "net0")
		if err != nil {
			return 0, err
		}
		for _, c := range s.Children {
			switch got := c.Stats.RxPackets; {
			case c.Name != childName:
			case got > want:
				return got, fmt.Errorf("%s got %d packets, only %d had its mark", childName, got, want)
			case got == want:
				return got, nil
			}
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(look):
		}
	}
}
