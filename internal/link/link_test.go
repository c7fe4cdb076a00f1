package link_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/testnet"
	"golang.org/x/sys/unix"
)

// setup returns a namespace with an interface d0 that is up and has a carrier,
// and a handle there.
func setup(t *testing.T) (ns *testnet.NS, h *link.Handle, index int) {
	t.Helper()
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	ns = testnet.New(t)
	ns.MustRun("ip", "link", "add", "d0", "type", "veth", "peer", "name", "d0peer")
	ns.MustRun("ip", "link", "set", "d0peer", "up")
	ns.MustRun("ip", "link", "set", "d0", "up")
	return ns, ns.Link(), ns.Index("d0")
}

func state(t *testing.T, h *link.Handle, index int) link.State {
	t.Helper()
	s, err := h.ByIndex(index)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestChangesShowInState(t *testing.T) {
	_, h, index := setup(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	mac := net.HardwareAddr{2, 0, 0, 1, 2, 3}
	long := strings.Repeat("x", 255)
	must(h.SetDown(index))
	must(h.SetAlias(index, long))
	must(h.SetMTU(index, 9000))
	must(h.SetHardwareAddr(index, mac))
	must(h.SetUp(index))
	want := link.State{Index: index, Name: "d0", Alias: long, Kind: "veth", Up: true, Carrier: true,
		MTU: 9000, HardwareAddr: mac, TxQueueLen: 1000}
	if got := state(t, h, index); !got.Equal(want) {
		t.Errorf("state %+v\nwant  %+v", got, want)
	}
	must(h.SetDown(index))
	must(h.SetName(index, "d1"))
	must(h.SetAlias(index, ""))
	want.Name, want.Alias, want.Up, want.Carrier = "d1", "", false, false
	if got := state(t, h, index); !got.Equal(want) {
		t.Errorf("state %+v\nwant  %+v", got, want)
	}
	byName, err := h.ByName("d1")
	if err != nil || !byName.Equal(want) {
		t.Errorf("by name %+v, error %v; want %+v", byName, err, want)
	}
	all, err := h.List()
	must(err)
	if len(all) != 3 || !slices.ContainsFunc(all, want.Equal) {
		t.Errorf("list %+v, want lo, d0peer and %+v", all, want)
	}
	must(h.Delete(index))
	if s, err := h.ByIndex(index); !errors.Is(err, link.ErrNotFound) {
		t.Errorf("after deletion: %+v, error %v", s, err)
	}
}

func TestEveryRequestSaysNotFound(t *testing.T) {
	ns, h, _ := setup(t)
	for _, index := range []int{12345, 0, -1} {
		_, byIndex := h.ByIndex(index)
		for name, err := range map[string]error{
			"ByIndex":         byIndex,
			"SetAlias":        h.SetAlias(index, "a"),
			"SetMTU":          h.SetMTU(index, 1500),
			"SetUp":           h.SetUp(index),
			"SetDown":         h.SetDown(index),
			"SetHardwareAddr": h.SetHardwareAddr(index, net.HardwareAddr{2, 0, 0, 0, 0, 1}),
			"SetName":         h.SetName(index, "x"),
			"Delete":          h.Delete(index),
			"MoveToNetNS":     h.MoveToNetNS(index, ns.FD()),
			"AddAddress":      h.AddAddress(index, netip.MustParsePrefix("10.0.0.1/24")),
			"AddRoute":        h.AddRoute(index, netip.MustParsePrefix("10.0.0.0/24"), netip.Addr{}),
		} {
			if !errors.Is(err, link.ErrNotFound) {
				t.Errorf("%s(%d): error %v, want %v", name, index, err, link.ErrNotFound)
			}
		}
	}
	for _, name := range []string{"", "nosuch", strings.Repeat("n", 16)} {
		if s, err := h.ByName(name); err == nil {
			t.Errorf("ByName(%q) = %+v", name, s)
		}
	}
	if _, err := h.ByName("nosuch"); !errors.Is(err, link.ErrNotFound) {
		t.Errorf("ByName: error %v, want %v", err, link.ErrNotFound)
	}
}

func TestClosedHandleRefuses(t *testing.T) {
	_, _, index := setup(t)
	h, err := link.Open(-1)
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	h.Close()
	// A request that went through would reach the test's own namespace.
	if err := h.SetAlias(index, "wrong"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v, want %v", err, os.ErrClosed)
	}
	if s, err := h.List(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("List: %v, error %v; want %v", s, err, os.ErrClosed)
	}
}

func TestAddressesAndRoutes(t *testing.T) {
	ns, h, index := setup(t)
	for _, a := range []string{"10.1.0.1/24", "fd00:1::1/64"} {
		if err := h.AddAddress(index, netip.MustParsePrefix(a)); err != nil {
			t.Fatal(err)
		}
	}
	for dst, gw := range map[string]string{"10.2.0.0/16": "10.1.0.9", "fd00:2::/48": "fd00:1::9"} {
		if err := h.AddRoute(index, netip.MustParsePrefix(dst), netip.MustParseAddr(gw)); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.AddRoute(index, netip.MustParsePrefix("10.3.0.0/16"), netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	addrs := ns.MustRun("ip", "-o", "addr", "show", "dev", "d0")
	for _, want := range []string{"10.1.0.1/24", "fd00:1::1/64"} {
		if !strings.Contains(addrs, want) {
			t.Errorf("no %s in\n%s", want, addrs)
		}
	}
	for _, line := range strings.Split(addrs, "\n") {
		if strings.Contains(line, "fd00:1::1") && strings.Contains(line, "tentative") {
			t.Errorf("not usable before duplicate address detection: %s", line)
		}
	}
	routes := ns.MustRun("ip", "route") + ns.MustRun("ip", "-6", "route")
	for _, want := range []string{"10.2.0.0/16 via 10.1.0.9 dev d0", "10.3.0.0/16 dev d0 scope link", "fd00:2::/48 via fd00:1::9 dev d0"} {
		if !strings.Contains(routes, want) {
			t.Errorf("no %q in\n%s", want, routes)
		}
	}
	err := h.AddAddress(index, netip.MustParsePrefix("10.1.0.1/24"))
	if !errors.Is(err, os.ErrExist) || !strings.Contains(err.Error(), "add address 10.1.0.1/24") {
		t.Errorf("the same address again: error %v", err)
	}
}

func TestMoveToNetNS(t *testing.T) {
	_, h, index := setup(t)
	there := testnet.New(t)
	if err := h.MoveToNetNS(index, there.FD()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.ByIndex(index); !errors.Is(err, link.ErrNotFound) {
		t.Errorf("still here: error %v", err)
	}
	if s := state(t, there.Link(), there.Index("d0")); s.Kind != "veth" || s.Up {
		t.Errorf("arrived as %+v, want a veth that is down", s)
	}
}

func TestKinds(t *testing.T) {
	ns, h, _ := setup(t)
	ns.MustRun("ip", "tuntap", "add", "t0", "mode", "tun")
	ns.MustRun("ip", "tuntap", "add", "t1", "mode", "tap")
	all, err := h.List()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range all {
		got = append(got, s.Name+"="+s.Kind)
	}
	slices.Sort(got)
	want := []string{"d0=veth", "d0peer=veth", "lo=device", "t0=tun", "t1=tun"}
	if !slices.Equal(got, want) {
		t.Errorf("kinds %v, want %v", got, want)
	}
}

func TestMoveUnderAnotherName(t *testing.T) {
	ns, _, index := setup(t)
	there := testnet.New(t)
	there.MustRun("ip", "tuntap", "add", "taken", "mode", "tap")
	move := func(name string) (err error) {
		ns.Do(func() { err = link.Move(index, there.FD(), name) })
		return err
	}
	if err := move("d1"); err != nil {
		t.Fatal(err)
	}
	if got := there.Index("d1"); got != index {
		t.Errorf("index %d, want %d", got, index)
	}
	if err := move("d2"); !errors.Is(err, unix.ENODEV) {
		t.Errorf("moved once more: %v", err)
	}
	index = ns.Index("d0peer")
	if err := move("taken"); !errors.Is(err, unix.EEXIST) {
		t.Errorf("moved to a taken name: %v", err)
	}
	there.Index("d0peer") // where it is all the same
}
