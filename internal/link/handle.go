package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrNotFound reports that the namespace of the Handle has no such interface:
// it may have been deleted, renamed or moved.
var ErrNotFound = errors.New("no such interface")

// Handle makes requests in one network namespace. It keeps that namespace alive
// until Close. Its methods are safe for concurrent use and serialize their
// requests. After Close they return an error that wraps os.ErrClosed.
type Handle struct {
	mu sync.RWMutex // held for reading during a request, for writing by Close
	nl *netlink.Handle
}

// Open returns a Handle for the network namespace behind netnsFD, or for that
// of the calling thread if netnsFD is negative. The caller keeps netnsFD and
// may close it once Open returns.
func Open(netnsFD int) (*Handle, error) {
	h := new(Handle)
	err := InNetNS(netnsFD, func() (err error) {
		h.nl, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	return h, nil
}

// Close closes the Handle, after a request in progress. Further calls do
// nothing.
func (h *Handle) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.nl != nil {
		h.nl.Close()
		h.nl = nil
	}
}

// request calls f with the library's handle and translates its error. A closed
// handle must not reach the library, which would open a new socket in the
// namespace of the thread.
func (h *Handle) request(verb string, f func(*netlink.Handle) error) error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.nl == nil {
		return fmt.Errorf("%s: %w", verb, os.ErrClosed)
	}
	err := f(h.nl)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENODEV), errors.As(err, new(netlink.LinkNotFoundError)):
		return fmt.Errorf("%s: %w", verb, ErrNotFound)
	}
	return fmt.Errorf("%s: %w", verb, err)
}

// change is request for an interface.
func (h *Handle) change(verb string, index int, f func(*netlink.Handle, netlink.Link) error) error {
	// The library looks up index 0 by name and passes on negative ones; no
	// interface has either.
	if index <= 0 {
		return fmt.Errorf("%s of interface %d: %w", verb, index, ErrNotFound)
	}
	return h.request(fmt.Sprintf("%s of interface %d", verb, index), func(nl *netlink.Handle) error {
		return f(nl, &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}})
	})
}

// ByIndex returns the state of the interface with this index. The error wraps
// ErrNotFound if there is none.
func (h *Handle) ByIndex(index int) (s State, err error) {
	err = h.change("read state", index, func(nl *netlink.Handle, _ netlink.Link) error {
		l, err := nl.LinkByIndex(index)
		if err == nil {
			s = stateOf(l)
		}
		return err
	})
	return s, err
}

// ByName returns the state of the interface with this name, or with this
// alternative name (altname of ip-link(8)). The error wraps ErrNotFound if
// there is none.
func (h *Handle) ByName(name string) (s State, err error) {
	err = h.request(fmt.Sprintf("read state of interface %q", name), func(nl *netlink.Handle) error {
		l, err := nl.LinkByName(name)
		if err == nil {
			s = stateOf(l)
		}
		return err
	})
	return s, err
}

// List returns the state of every interface of the namespace, in the kernel's
// order.
func (h *Handle) List() (states []State, err error) {
	err = h.request("list interfaces", func(nl *netlink.Handle) error {
		links, err := nl.LinkList()
		// A change during the listing can make the kernel skip interfaces. It reports
		// that, and only a new listing is complete.
		for errors.Is(err, netlink.ErrDumpInterrupted) {
			links, err = nl.LinkList()
		}
		for _, l := range links {
			states = append(states, stateOf(l))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return states, nil
}

// SetAlias sets the alias of an interface, up to 255 bytes; "" removes it.
func (h *Handle) SetAlias(index int, alias string) error {
	return h.change("set alias", index, func(nl *netlink.Handle, l netlink.Link) error {
		return nl.LinkSetAlias(l, alias)
	})
}

// SetMTU sets the MTU of an interface in bytes. The range depends on the
// device: 68 to 65535 for a TUN.
func (h *Handle) SetMTU(index, mtu int) error {
	return h.change(fmt.Sprintf("set mtu %d", mtu), index, func(nl *netlink.Handle, l netlink.Link) error {
		return nl.LinkSetMTU(l, mtu)
	})
}

// SetUp brings an interface up.
func (h *Handle) SetUp(index int) error {
	return h.change("set up", index, (*netlink.Handle).LinkSetUp)
}

// SetDown takes an interface down.
func (h *Handle) SetDown(index int) error {
	return h.change("set down", index, (*netlink.Handle).LinkSetDown)
}

// SetHardwareAddr sets the hardware address of an interface. A TUN has none.
func (h *Handle) SetHardwareAddr(index int, addr net.HardwareAddr) error {
	return h.change("set hardware address", index, func(nl *netlink.Handle, l netlink.Link) error {
		return nl.LinkSetHardwareAddr(l, addr)
	})
}

// SetName renames an interface. Linux before 6.2 refuses it while the interface
// is up.
func (h *Handle) SetName(index int, name string) error {
	return h.change(fmt.Sprintf("set name %q", name), index, func(nl *netlink.Handle, l netlink.Link) error {
		return nl.LinkSetName(l, name)
	})
}

// Delete removes an interface.
func (h *Handle) Delete(index int) error {
	return h.change("delete", index, (*netlink.Handle).LinkDel)
}

// MoveToNetNS moves an interface to the network namespace behind netnsFD, where
// it arrives down and without addresses. It keeps its index unless another
// interface there has it. A name that is taken there is an error.
func (h *Handle) MoveToNetNS(index, netnsFD int) error {
	return h.change("set network namespace", index, func(nl *netlink.Handle, l netlink.Link) error {
		return nl.LinkSetNsFd(l, netnsFD)
	})
}

// AddAddress adds an address to an interface. The kernel adds the route to its
// prefix when the interface comes up. IPv6 addresses skip duplicate address
// detection.
func (h *Handle) AddAddress(index int, addr netip.Prefix) error {
	return h.change(fmt.Sprintf("add address %v", addr), index, func(nl *netlink.Handle, l netlink.Link) error {
		a := &netlink.Addr{IPNet: ipNet(addr)}
		if addr.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD
		}
		return nl.AddrAdd(l, a)
	})
}

// AddRoute adds a route to dst through an interface that is up. With the zero
// gateway, dst is on the link.
func (h *Handle) AddRoute(index int, dst netip.Prefix, gateway netip.Addr) error {
	return h.change(fmt.Sprintf("add route to %v", dst), index, func(nl *netlink.Handle, _ netlink.Link) error {
		r := &netlink.Route{LinkIndex: index, Dst: ipNet(dst), Gw: gateway.AsSlice()}
		if !gateway.IsValid() {
			r.Scope = netlink.SCOPE_LINK
		}
		return nl.RouteAdd(r)
	})
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
