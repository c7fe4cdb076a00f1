package testnet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// NS is a network namespace that ends with the test.
type NS struct {
	t  testing.TB
	fd int
}

// New makes a network namespace with its loopback up.
func New(t testing.TB) *NS {
	t.Helper()
	fd, err := link.NewNetNS()
	if err != nil {
		t.Fatal(err)
	}
	n := &NS{t: t, fd: fd}
	t.Cleanup(func() { unix.Close(fd) })
	h := n.Link()
	if err := h.SetUp(n.Index("lo")); err != nil {
		t.Fatal(err)
	}
	return n
}

// FD returns the descriptor of the namespace, which is open until the test
// ends. The caller must not close it.
func (n *NS) FD() int { return n.fd }

// ID returns the identity of the namespace, as link.NSID.
func (n *NS) ID() uint64 { return link.NSID(n.fd) }

// Path returns a file name of the namespace that any process may use until the
// test ends, as in nsenter --net=PATH or ip link set net0 netns PATH.
func (n *NS) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.fd) }

// Do runs f in the namespace, on another goroutine, as link.InNetNS does. f may
// fail the test.
func (n *NS) Do(f func()) {
	n.t.Helper()
	err := link.InNetNS(n.fd, func() error {
		f()
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

// Link returns a rtnetlink handle of the namespace, open until the test ends.
func (n *NS) Link() *link.Handle {
	n.t.Helper()
	h, err := link.Open(n.fd)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(h.Close)
	return h
}

// Index returns the index of the interface with this name.
func (n *NS) Index(name string) int {
	n.t.Helper()
	h, err := link.Open(n.fd)
	if err != nil {
		n.t.Fatal(err)
	}
	defer h.Close()
	s, err := h.ByName(name)
	if err != nil {
		n.t.Fatal(err)
	}
	return s.Index
}

// Sysctl sets a sysctl of the namespace, written with dots or slashes below
// "net", as in Sysctl("net.ipv4.ip_forward", "1").
func (n *NS) Sysctl(key, value string) {
	n.t.Helper()
	// An interface name may hold a dot; then the key is written with slashes.
	if !strings.Contains(key, "/") {
		key = strings.ReplaceAll(key, ".", "/")
	}
	n.Do(func() {
		n.t.Helper()
		if err := os.WriteFile(filepath.Join("/proc/sys", key), []byte(value), 0); err != nil {
			n.t.Fatal(err)
		}
	})
}

// Quiet switches IPv6 off for the interfaces of the namespace and those to
// come, so that they send no packet of their own accord.
func (n *NS) Quiet() {
	n.t.Helper()
	n.Sysctl("net.ipv6.conf.all.disable_ipv6", "1")
	n.Sysctl("net.ipv6.conf.default.disable_ipv6", "1")
}

// AddVeth joins the namespace and peer by a pair of virtual Ethernet
// interfaces, both up: name here and peerName there.
func (n *NS) AddVeth(name string, peer *NS, peerName string) {
	n.t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: peerName, PeerNamespace: netlink.NsFd(peer.fd)}
	n.Do(func() {
		n.t.Helper()
		if err := netlink.LinkAdd(veth); err != nil {
			n.t.Fatalf("add veth %s to %s: %v", name, peerName, err)
		}
	})
	n.up(name)
	peer.up(peerName)
}

func (n *NS) up(name string) {
	n.t.Helper()
	h, err := link.Open(n.fd)
	if err != nil {
		n.t.Fatal(err)
	}
	defer h.Close()
	if err := h.SetUp(n.Index(name)); err != nil {
		n.t.Fatal(err)
	}
}
