package netlab

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/link"
)

// Namespace is a network namespace.
type Namespace struct {
	fd   int
	link *link.Handle

	mu      sync.Mutex
	running map[*Cmd]bool // started and not waited for; guarded by mu
}

// New makes a network namespace with its loopback up. The caller closes it.
func New() (*Namespace, error) {
	fd, err := link.NewNetNS()
	if err != nil {
		return nil, err
	}
	n := &Namespace{fd: fd, running: make(map[*Cmd]bool)}
	if n.link, err = link.Open(fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	if err := n.Up("lo"); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// Close kills the commands that still run and gives the namespace up, which
// ends with the last process and socket in it.
func (n *Namespace) Close() {
	n.mu.Lock()
	var left []*Cmd
	for c := range n.running {
		left = append(left, c)
	}
	n.mu.Unlock()
	for _, c := range left {
		_ = c.Process.Kill() // harmless if it has ended
		_ = c.Wait()
	}
	n.link.Close()
	unix.Close(n.fd)
}

// FD returns the descriptor of the namespace, which is open until Close.
func (n *Namespace) FD() int { return n.fd }

// ID returns the identity of the namespace, as link.NSID.
func (n *Namespace) ID() uint64 { return link.NSID(n.fd) }

// Path returns a file name of the namespace that any process may use until
// Close, as in nsenter --net=PATH or ip link set net0 netns PATH.
func (n *Namespace) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.fd) }

// Link returns the rtnetlink handle of the namespace, which is open until
// Close.
func (n *Namespace) Link() *link.Handle { return n.link }

// In runs f in the namespace, as link.InNetNS does.
func (n *Namespace) In(f func() error) error { return link.InNetNS(n.fd, f) }

// Names lists the interfaces of the namespace, sorted, without its loopback.
func (n *Namespace) Names() ([]string, error) {
	states, err := n.link.List()
	names := []string{}
	for _, s := range states {
		if s.Name != "lo" {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return names, err
}

// Up gives an interface addresses, if any, and brings it up.
func (n *Namespace) Up(name string, addresses ...netip.Prefix) error {
	s, err := n.link.ByName(name)
	if err != nil {
		return err
	}
	for _, a := range addresses {
		if err := n.link.AddAddress(s.Index, a); err != nil {
			return err
		}
	}
	return n.link.SetUp(s.Index)
}

// Ready returns nil when packets from and to the addresses of the interface
// pass the kernel. That is a moment after Up: the kernel drops packets until it
// has noticed the carrier, and gives an IPv6 address its route later still.
func (n *Namespace) Ready(name string) error {
	return n.In(func() error {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		if i.Flags&net.FlagRunning == 0 {
			return fmt.Errorf("%s has no carrier", name)
		}
		addresses, err := i.Addrs()
		if err != nil {
			return err
		}
		for _, a := range addresses {
			ip := a.(*net.IPNet).IP
			if ip.IsLinkLocalUnicast() {
				continue // the kernel's own
			}
			routes, err := netlink.RouteGet(ip)
			if err != nil {
				return fmt.Errorf("get route to %v: %w", ip, err)
			}
			if len(routes) != 1 || routes[0].Type != unix.RTN_LOCAL {
				return fmt.Errorf("%v of %s has no local route", ip, name)
			}
		}
		return nil
	})
}

// Sysctl sets a sysctl of the namespace, written with dots or slashes below
// "net", as in Sysctl("net.ipv4.ip_forward", "1").
func (n *Namespace) Sysctl(key, value string) error {
	// An interface name may hold a dot; then the key is written with
	// slashes.
	if !strings.Contains(key, "/") {
		key = strings.ReplaceAll(key, ".", "/")
	}
	return n.In(func() error { return os.WriteFile(filepath.Join("/proc/sys", key), []byte(value), 0) })
}

// Quiet disables IPv6 on the interfaces of the namespace and on those to come,
// so that they send no packet of their own accord.
func (n *Namespace) Quiet() error {
	for _, which := range []string{"all", "default"} {
		err := n.Sysctl("net.ipv6.conf."+which+".disable_ipv6", "1")
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
			return err
		}
	}
	return nil
}

// AddVeth joins two namespaces by a pair of virtual Ethernet interfaces, down:
// name here and peerName in peer, which may be n itself. An MTU of 0 is the
// kernel's default, 1500 bytes.
func (n *Namespace) AddVeth(name string, peer *Namespace, peerName string, mtu int) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = name, mtu
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: peerName, PeerMTU: uint32(mtu), PeerNamespace: netlink.NsFd(peer.fd)}
	return n.In(func() error {
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("add veth %s, %s: %w", name, peerName, err)
		}
		return nil
	})
}
