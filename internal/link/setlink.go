package link

import (
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// What the library has no function for is asked of the calling thread's network
// namespace: its handles take no requests of ours.

// Move moves an interface of the calling thread's network namespace to the one
// behind fd and gives it a name there, in one request. If the name is taken
// there, the error wraps unix.EEXIST, and the interface has been moved all the
// same, with its old name.
func Move(index, fd int, name string) error {
	err := setLink(index,
		nl.NewRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(fd))),
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	if err != nil {
		return fmt.Errorf("move interface %d to another network namespace as %q: %w", index, name, err)
	}
	return nil
}

// SetOperUp makes the operational state of an interface of the calling thread's
// network namespace "up" (RFC 2863) where it is "unknown", as it is from the
// creation of an interface to the first change of its carrier. The kernel shows
// it while the interface is up; any later change of the carrier sets it again.
func SetOperUp(index int) error {
	if err := setLink(index, nl.NewRtAttr(unix.IFLA_OPERSTATE, nl.Uint8Attr(operUp))); err != nil {
		return fmt.Errorf("set operational state of interface %d: %w", index, err)
	}
	return nil
}

// operUp is IF_OPER_UP of include/uapi/linux/if.h.
const operUp = 6

func setLink(index int, attrs ...*nl.RtAttr) error {
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	req := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
	req.AddData(msg)
	for _, a := range attrs {
		req.AddData(a)
	}
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}
