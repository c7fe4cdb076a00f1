package testnet

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/netlab"
)

// NS is a network namespace that ends with the test, together with the commands
// that still run in it. It must not be closed earlier.
type NS struct {
	*netlab.Namespace
	t testing.TB
}

// Cmd is a command in a namespace, as NS.Command returns it.
type Cmd = netlab.Cmd

// New makes a network namespace with its loopback up.
func New(t testing.TB) *NS {
	t.Helper()
	n, err := netlab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return &NS{n, t}
}

// must fails the test if there is an error.
func (n *NS) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// Do runs f in the namespace, on another goroutine, as link.InNetNS does. f may
// fail the test.
func (n *NS) Do(f func()) {
	n.t.Helper()
	n.must(n.In(func() error {
		f()
		return nil
	}))
}

// MustRun runs a command in the namespace and returns what it wrote. It fails
// the test if the tool is missing or the command fails.
func (n *NS) MustRun(name string, args ...string) string {
	n.t.Helper()
	out, err := n.Command(Need(n.t, name), args...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// State returns what the kernel says of the interface with this name.
func (n *NS) State(name string) link.State {
	n.t.Helper()
	s, err := n.Link().ByName(name)
	n.must(err)
	return s
}

// Index returns the index of the interface with this name.
func (n *NS) Index(name string) int { n.t.Helper(); return n.State(name).Index }

// Names lists the interfaces of the namespace, sorted, without its loopback.
func (n *NS) Names() []string {
	n.t.Helper()
	names, err := n.Namespace.Names()
	n.must(err)
	return names
}

// Up gives an interface addresses with prefix lengths, if any, and brings it
// up.
func (n *NS) Up(name string, addresses ...string) {
	n.t.Helper()
	var prefixes []netip.Prefix
	for _, a := range addresses {
		p, err := netip.ParsePrefix(a)
		n.must(err)
		prefixes = append(prefixes, p)
	}
	n.must(n.Namespace.Up(name, prefixes...))
}

// Sysctl sets a sysctl of the namespace, as netlab.Namespace.Sysctl does.
func (n *NS) Sysctl(key, value string) { n.t.Helper(); n.must(n.Namespace.Sysctl(key, value)) }

// Quiet disables IPv6, as netlab.Namespace.Quiet does.
func (n *NS) Quiet() { n.t.Helper(); n.must(n.Namespace.Quiet()) }

// AddVeth joins the namespace and peer by a pair of virtual Ethernet
// interfaces, both up: name here and peerName there.
func (n *NS) AddVeth(name string, peer *NS, peerName string) {
	n.t.Helper()
	n.must(n.Namespace.AddVeth(name, peer.Namespace, peerName, 0))
	n.Up(name)
	peer.Up(peerName)
}
