package driver

import (
	"bytes"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/testnet"
)

func TestAdoptsHere(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	h, before := l.ns.Link(), l.ns.State("net0")
	if err := h.AddAddress(before.Index, netip.MustParsePrefix("10.0.0.1/24")); err != nil {
		t.Fatal(err)
	}
	if err := h.SetUp(before.Index); err != nil {
		t.Fatal(err)
	}
	if err := h.SetName(before.Index, "other"); err != nil {
		t.Fatal(err)
	}
	crash(d)

	d = l.driver()
	names, err := l.load(d, netHdr("net0"))
	if err != nil || !slices.Equal(names, []string{"other"}) {
		t.Fatalf("loaded %v, %v; want the renamed one", names, err)
	}
	if s := status(t, d); s.Index != before.Index || !s.Adopted || !s.Up || !s.Writer.Enabled {
		t.Errorf("status %+v, want interface %d, adopted and up", s, before.Index)
	}
	if out := l.ns.MustRun("ip", "-4", "addr", "show", "dev", "other"); !bytes.Contains([]byte(out), []byte("10.0.0.1/24")) {
		t.Errorf("the address is gone:\n%s", out)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if names := l.ns.Names(); len(names) != 0 {
		t.Errorf("%v is left after a clean stop", names)
	}
	if _, err := os.Stat(l.state); !os.IsNotExist(err) {
		t.Errorf("state file: %v", err)
	}
}

// inhabited makes a namespace with a process in it, by which it can be found.
func (l *lab) inhabited() *testnet.NS {
	l.t.Helper()
	ns := testnet.New(l.t)
	if err := ns.Command(testnet.Need(l.t, "sleep"), "1000").Start(); err != nil {
		l.t.Fatal(err)
	}
	return ns
}

// move moves an interface of the lab and waits until the driver tracks it
// there.
func (l *lab) move(d *Driver, name string, to *testnet.NS) {
	l.t.Helper()
	if err := l.ns.Link().MoveToNetNS(l.ns.State(name).Index, to.FD()); err != nil {
		l.t.Fatal(err)
	}
	testnet.Eventually(l.t, "move of "+name, func() bool {
		return slices.ContainsFunc(d.Status(), func(s api.Interface) bool { return s.Name == name && s.NetNS == to.ID() })
	})
}

func TestAdoptsInAnotherNamespace(t *testing.T) {
	l := newLab(t)
	there := l.inhabited()
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	l.move(d, "net0", there)
	index := status(t, d).Index
	// The event that changed the status also saves the state.
	testnet.Eventually(t, "state", func() bool {
		records, err := d.state.read()
		return err == nil && len(records) == 1 && records[0].NetNS == there.ID()
	})
	crash(d)

	d = l.driver()
	l.mustLoad(d, netHdr("net0"))
	if s := status(t, d); s.NetNS != there.ID() || s.Index != index || !s.Adopted {
		t.Errorf("status %+v, want interface %d of namespace %d", s, index, there.ID())
	}
	if names := l.ns.Names(); len(names) != 0 {
		t.Errorf("%v was made as well", names)
	}
}

// Two loads before the crash are two loads after it: the first must not forget
// the device of the second.
func TestAdoptsLoadByLoad(t *testing.T) {
	l := newLab(t)
	there := l.inhabited()
	second := Interface{Name: "net1", Format: element.NetHdr, Out: "c", WriterProtocol: testProtocol}
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	l.mustLoad(d, second)
	l.move(d, "net1", there)
	testnet.Eventually(t, "state", func() bool {
		records, err := d.state.read()
		return err == nil && len(records) == 2 && records[1].NetNS == there.ID()
	})
	crash(d)

	d = l.driver()
	l.mustLoad(d, netHdr("net0"))
	l.mustLoad(d, second)
	if s := d.Status()[1]; !s.Adopted || s.NetNS != there.ID() {
		t.Errorf("status %+v, want adopted in namespace %d", s, there.ID())
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(l.state); !os.IsNotExist(err) {
		t.Errorf("state file after a clean stop: %v", err)
	}
}

func TestServedDeviceIsNotAdopted(t *testing.T) {
	l := newLab(t)
	reader := Interface{Name: "net0", Format: element.NetHdr, In: "a", ReaderProtocol: testProtocol}
	first, second := l.driver(), l.driver()
	l.mustLoad(first, reader)
	if _, err := l.load(second, reader); err == nil {
		t.Error("the name of a served interface is given again")
	}
	reader.Name = "net1"
	l.mustLoad(second, reader)
	if s := status(t, second); s.Adopted || s.Name != "net1" {
		t.Errorf("status %+v, want a new net1", s)
	}
	if names := l.ns.Names(); !slices.Equal(names, []string{"net0", "net1"}) {
		t.Errorf("interfaces %v", names)
	}
}

func TestFailedLoadKeepsTheAdopted(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	index := l.ns.State("net0").Index
	crash(d)
	d = l.driver()
	missing := Interface{Name: "net1", Format: element.NetHdr, In: "none", ReaderProtocol: testProtocol}
	if _, err := l.load(d, netHdr("net0"), missing); err == nil {
		t.Fatal("a missing channel is no error")
	}
	if l.ns.State("net0").Index != index || len(d.Status()) != 0 {
		t.Error("the interface that was there before the load is gone, or served")
	}
	l.mustLoad(d, netHdr("net0"))
	if s := status(t, d); s.Index != index || !s.Adopted {
		t.Errorf("status %+v", s)
	}
}

func TestDamagedStateFileIsNoObstacle(t *testing.T) {
	l := newLab(t)
	if err := os.WriteFile(l.state, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	if !l.log.contains(l.state) {
		t.Error("the damage is not reported")
	}
	if records, err := d.state.read(); len(records) != 1 || err != nil {
		t.Errorf("afterwards it holds %v, %v", records, err)
	}
}

func TestForget(t *testing.T) {
	l := newLab(t)
	there := l.inhabited()
	d := l.driver()
	l.mustLoad(d, netHdr("net0"), Interface{Name: "net1", Format: element.EthDev, Out: "c", WriterProtocol: testProtocol})
	l.move(d, "net1", there)
	testnet.Eventually(t, "state", func() bool {
		records, err := d.state.read()
		return err == nil && len(records) == 2 && records[1].NetNS == there.ID()
	})
	crash(d)
	served := New(Options{Channels: l.dir})
	t.Cleanup(func() { served.Close() })
	l.mustLoad(served, Interface{Name: "net2", Format: element.Raw, In: "a", ReaderProtocol: testProtocol})
	l.ns.MustRun("ip", "tuntap", "add", "foreign", "mode", "tun")

	forget := func() (names []string) {
		l.ns.Do(func() {
			var err error
			if names, err = Forget(l.state); err != nil {
				t.Fatal(err)
			}
		})
		slices.Sort(names)
		return names
	}
	if got := forget(); !slices.Equal(got, []string{"net0", "net1"}) {
		t.Errorf("removed %v", got)
	}
	if here, other := l.ns.Names(), there.Names(); !slices.Equal(here, []string{"foreign", "net2"}) || len(other) != 0 {
		t.Errorf("left here %v, there %v", here, other)
	}
	if got := forget(); len(got) != 0 {
		t.Errorf("removed %v at the second time", got)
	}
	if _, err := os.Stat(l.state); !os.IsNotExist(err) {
		t.Errorf("state file: %v", err)
	}
}
