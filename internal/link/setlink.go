package link

import (
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Requests that the library has no function for act on the network namespace of
// the calling thread, because the library's handles do not accept requests from
// outside.

// Move moves an interface of the calling thread's network namespace to the
// namespace behind fd and renames it, in one request. If the name is taken
// there, the interface moves under its old name, and the error wraps
// unix.EEXIST.
func Move(index, fd int, name string) error {
	err := setLink(index,
		nl.NewRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(fd))),
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	if err != nil {
		return fmt.Errorf("move interface %d to another network namespace as %q: %w", index, name, err)
	}
	return nil
}

// SetOperUp changes the operational state (RFC 2863) of an interface of the
// calling thread's network namespace from "unknown" to "up". The kernel shows
// it while the interface is up. An interface begins as "unknown", and each
// change of its carrier sets the state anew.
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
