package tuntap

import (
	"encoding/binary"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// NoOwner is the Owner of a device without one: any user may attach to it.
const NoOwner = -1

// Info describes a TUN/TAP device.
type Info struct {
	Kind       Kind
	MultiQueue bool
	Persistent bool
	Owner      int // user id in the user namespace of the process, or NoOwner
	Queues     int // attached queues of a multi-queue device, else 0
}

// Attributes of a TUN/TAP device, enum in include/uapi/linux/if_link.h.
const (
	iflaTunOwner      = 1
	iflaTunType       = 3
	iflaTunPersist    = 6
	iflaTunMultiQueue = 7
	iflaTunNumQueues  = 8
)

// Inspect describes the device with this index in the calling thread's network
// namespace, without opening it. For an interface of another kind the error
// wraps EINVAL.
func Inspect(index int) (Info, error) {
	info, err := inspect(index)
	if err != nil {
		return Info{}, fmt.Errorf("inspect interface %d: %w", index, err)
	}
	return info, nil
}

func inspect(index int) (Info, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	req.AddData(msg)
	answers, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return Info{}, err
	}
	for _, answer := range answers {
		kind, err := nested(answer[unix.SizeofIfInfomsg:], unix.IFLA_LINKINFO, unix.IFLA_INFO_KIND)
		if err != nil {
			return Info{}, err
		}
		if unix.ByteSliceToString(kind) != "tun" {
			continue
		}
		data, err := nested(answer[unix.SizeofIfInfomsg:], unix.IFLA_LINKINFO, unix.IFLA_INFO_DATA)
		if err != nil {
			return Info{}, err
		}
		return parseInfo(data)
	}
	return Info{}, unix.EINVAL
}

// parseInfo reads the attributes that kernels provide since Linux 4.17.
func parseInfo(data []byte) (Info, error) {
	attrs, err := nl.ParseRouteAttr(data)
	if err != nil {
		return Info{}, err
	}
	info := Info{Owner: NoOwner}
	for _, a := range attrs {
		switch a.Attr.Type {
		case iflaTunType:
			if number(a.Value) == unix.IFF_TAP {
				info.Kind = TAP
			}
		case iflaTunOwner:
			info.Owner = number(a.Value)
		case iflaTunPersist:
			info.Persistent = number(a.Value) != 0
		case iflaTunMultiQueue:
			info.MultiQueue = number(a.Value) != 0
		case iflaTunNumQueues:
			info.Queues = number(a.Value)
		}
	}
	return info, nil
}

// number returns the value of an attribute of one or four bytes.
func number(value []byte) int {
	switch len(value) {
	case 1:
		return int(value[0])
	case 4:
		return int(binary.NativeEndian.Uint32(value))
	}
	return 0
}

// nested finds a nested attribute, nil if there is none.
func nested(data []byte, path ...uint16) ([]byte, error) {
	for _, wanted := range path {
		attrs, err := nl.ParseRouteAttr(data)
		if err != nil {
			return nil, err
		}
		data = nil
		for _, a := range attrs {
			if a.Attr.Type&^unix.NLA_F_NESTED == wanted {
				data = a.Value
			}
		}
	}
	return data, nil
}
