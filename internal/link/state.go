package link

import (
	"bytes"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// State describes an interface at one moment. Callers may keep and change it.
type State struct {
	Index        int              // in its namespace; 1 or more
	Name         string           // 1 to 15 bytes
	Alias        string           // up to 255 bytes, "" if none is set
	Kind         string           // "tun" for both TUN and TAP, "veth", "bridge"; "device" if the driver names none
	Up           bool             // administratively up
	Carrier      bool             // up, and the device reports a carrier
	MTU          int              // bytes
	HardwareAddr net.HardwareAddr // empty where the device has none, as with a TUN
	TxQueueLen   int              // packets
}

// Equal reports whether the two describe the same state.
func (s State) Equal(t State) bool {
	return s.Index == t.Index && s.Name == t.Name && s.Alias == t.Alias && s.Kind == t.Kind &&
		s.Up == t.Up && s.Carrier == t.Carrier && s.MTU == t.MTU && s.TxQueueLen == t.TxQueueLen &&
		bytes.Equal(s.HardwareAddr, t.HardwareAddr)
}

func stateOf(l netlink.Link) State {
	a := l.Attrs()
	kind := l.Type()
	if _, ok := l.(*netlink.Tuntap); ok {
		kind = "tun" // the kernel's name; the library has another
	}
	return State{
		Index:   a.Index,
		Name:    a.Name,
		Alias:   a.Alias,
		Kind:    kind,
		Up:      a.RawFlags&unix.IFF_UP != 0,
		Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0,
		MTU:     a.MTU,
		// The library's slice is part of its receive buffer.
		HardwareAddr: slices.Clone(a.HardwareAddr),
		TxQueueLen:   a.TxQLen,
	}
}
