package driver

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// childStatus returns the status of a child of the only interface, once it is
// known by that name.
func childStatus(t testing.TB, d *Driver, name string) (c api.Child) {
	t.Helper()
	testnet.Eventually(t, "child "+name, func() bool {
		children := status(t, d).Children
		i := slices.IndexFunc(children, func(c api.Child) bool { return c.Name == name })
		if i >= 0 {
			c = children[i]
		}
		return i >= 0
	})
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// child adds a child with marks, sets it up and waits until the driver knows.
func (l *lab) child(d *Driver, name string, marks ...uint32) {
	l.t.Helper()
	must(l.t, d.AddChild("net0", name))
	for _, mark := range marks {
		must(l.t, d.AddMark(name, mark))
	}
	must(l.t, l.ns.Link().SetUp(l.ns.State(name).Index))
	testnet.Eventually(l.t, "child up", func() bool { return childStatus(l.t, d, name).Up })
}

// sendMarked writes one packet with a mark.
func (p *peer) sendMarked(mark uint32, packet []byte) { p.w.Put(element.NetHdr, packet, mark) }

// received returns how many packets the parent and its children got; the key of
// the parent is "".
func received(t testing.TB, d *Driver) map[string]uint64 {
	t.Helper()
	s := status(t, d)
	got := map[string]uint64{"": s.Stats.RxPackets}
	for _, c := range s.Children {
		got[c.Name] = c.Stats.RxPackets
	}
	return got
}

// expect lets the peer send a packet of each mark, and checks how many of them
// each interface gets.
func (l *lab) expect(d *Driver, p *peer, marks []uint32, want map[string]uint64) {
	l.t.Helper()
	before := received(l.t, d)
	for i, mark := range marks {
		p.sendMarked(mark, packet(uint32(i)))
	}
	testnet.Eventually(l.t, "packets", func() bool {
		var total uint64
		for name, n := range received(l.t, d) {
			total += n - before[name]
		}
		return total == uint64(len(marks))
	})
	for name, n := range received(l.t, d) {
		if got := n - before[name]; got != want[name] {
			l.t.Errorf("%q got %d of the packets with marks %v, want %d", name, got, marks, want[name])
		}
	}
}

func TestChildComesAndGoes(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	i := netHdr("net0")
	i.MTU = 1400
	l.mustLoad(d, i)
	must(t, d.AddChild("net0", "child0"))
	must(t, d.AddChild("net0", "child1"))
	if s := l.ns.State("child0"); s.MTU != 1400 || s.Up || s.Alias != "muennet child=child0 of in=a out=b" {
		t.Errorf("%+v, want it down, with its parent's MTU and an alias", s)
	}
	must(t, d.AddMark("child0", 7))
	must(t, d.AddMark("child0", 0xffffffff))
	must(t, d.AddMark("child0", 1))
	if c := childStatus(t, d, "child0"); !slices.Equal(c.Marks, []uint32{1, 7, 0xffffffff}) || c.MTU != 1400 || c.Adopted {
		t.Errorf("%+v", c)
	}
	must(t, d.DeleteMark("child0", 7))
	if c := childStatus(t, d, "child0"); !slices.Equal(c.Marks, []uint32{1, 0xffffffff}) {
		t.Errorf("marks %v are left", c.Marks)
	}
	must(t, d.DeleteChild("child0"))
	if names := l.ns.Names(); !slices.Equal(names, []string{"child1", "net0"}) {
		t.Errorf("interfaces %v", names)
	}
	must(t, d.Unload("net0"))
	if names := l.ns.Names(); len(names) > 0 {
		t.Errorf("%v is left of an interface that was removed", names)
	}
}

func TestChildErrors(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	tap := Interface{Name: "tap0", Format: element.EthDev, Out: "c", WriterProtocol: testProtocol}
	l.mustLoad(d, netHdr("net0"), tap)
	l.ns.Do(func() {
		must(t, d.AddChild("net0", "child0"))
		must(t, d.AddChild("net0", "child1"))
		must(t, d.AddMark("child0", 7))
		for what, err := range map[string]error{
			"child0":     d.AddChild("child0", "x"),
			"tap0":       d.AddChild("tap0", "x"),
			"lo":         d.AddChild("lo", "x"),
			"net9":       d.AddChild("net9", "x"),
			"net0":       d.AddChild("net0", "net0"),
			"child1":     d.AddChild("net0", "child1"),
			"0123456789": d.AddChild("net0", "0123456789abcdef"),
			"held by":    d.AddMark("child1", 7),
			"0":          d.AddMark("child0", 0),
			"net0 ":      d.AddMark("net0", 1),
			"lo ":        d.AddMark("lo", 1),
			"8":          d.DeleteMark("child0", 8),
			"child9":     d.DeleteMark("child9", 7),
			"net0  ":     d.DeleteChild("net0"),
			"lo  ":       d.DeleteChild("lo"),
		} {
			if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(what)) {
				t.Errorf("error %v, want one that says %q", err, what)
			}
		}
	})
	for _, tc := range []struct{ err, want error }{
		{d.AddMark("child0", 7), api.ErrHeld}, // its own, again
		{d.AddMark("child1", 7), api.ErrHeld},
		{d.AddMark("child1", 0), api.ErrZeroMark},
		{d.DeleteMark("child0", 8), api.ErrNotHeld},
		{d.AddChild("child0", "x"), api.ErrChild},
		{d.AddChild("net9", "x"), api.ErrUnknown},
		{d.Unload("child0"), api.ErrChild},
		{d.Unload("net9"), api.ErrUnknown},
	} {
		if !errors.Is(tc.err, tc.want) {
			t.Errorf("error %v, want one that wraps %q", tc.err, tc.want)
		}
	}
	if names := l.ns.Names(); !slices.Equal(names, []string{"child0", "child1", "net0", "tap0"}) {
		t.Errorf("interfaces %v", names)
	}
	if c := d.Status()[0].Children; !slices.Equal(c[0].Marks, []uint32{7}) || len(c[1].Marks) > 0 || c[1].Marks == nil {
		t.Errorf("children %+v", c)
	}
}

func TestChildReceivesItsMarks(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	l.up(d, "net0")
	p := l.peer("a")
	p.start()
	l.child(d, "child0", 7, 0xffffffff)
	l.child(d, "child1", 1)
	marks := []uint32{0, 1, 2, 7, 0, 7, 0xffffffff, 1, 8}
	l.expect(d, p, marks, map[string]uint64{"": 4, "child0": 3, "child1": 2})
	must(t, d.DeleteMark("child0", 7))
	l.expect(d, p, marks, map[string]uint64{"": 6, "child0": 1, "child1": 2})
	must(t, d.DeleteChild("child1"))
	l.expect(d, p, marks, map[string]uint64{"": 8, "child0": 1})
	must(t, d.AddMark("child0", 1))
	l.expect(d, p, marks, map[string]uint64{"": 6, "child0": 3})

	// The administrator deletes it.
	must(t, l.ns.Link().Delete(l.ns.State("child0").Index))
	testnet.Eventually(t, "end of the child", func() bool { return len(status(t, d).Children) == 0 })
	before := status(t, d).Stats.RxPackets
	testnet.Eventually(t, "packet on the parent", func() bool {
		p.sendMarked(1, packet(1))
		return status(t, d).Stats.RxPackets > before
	})
}

func TestChildIsFollowed(t *testing.T) {
	l := newLab(t)
	there := testnet.New(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	l.up(d, "net0")
	p := l.peer("a")
	p.start()
	l.child(d, "child0", 7)
	seven := []uint32{7}
	h, index := l.ns.Link(), l.ns.State("child0").Index

	// Its own MTU limits what it sends, not what it receives.
	must(t, h.SetMTU(index, 100))
	testnet.Eventually(t, "mtu", func() bool { return childStatus(t, d, "child0").MTU == 100 })
	long := packet(1)
	long = append(long, make([]byte, 101-len(long))...)
	long[3] = 101
	p.sendMarked(7, long)
	testnet.Eventually(t, "long packet", func() bool { return childStatus(t, d, "child0").Oversize == 1 })
	if s := childStatus(t, d, "child0"); s.Stats.RxPackets != 1 || s.Stats.RxDropped != 0 || len(s.Drops) > 0 {
		t.Errorf("a long packet: %+v, drops %v", s.Stats, s.Drops)
	}
	l.expect(d, p, seven, map[string]uint64{"child0": 1})

	// Down it receives nothing, and no other interface gets its packets.
	must(t, h.SetDown(index))
	testnet.Eventually(t, "down", func() bool { return !childStatus(t, d, "child0").Up })
	p.sendMarked(7, packet(1))
	testnet.Eventually(t, "drop", func() bool { return childStatus(t, d, "child0").Drops["rx_device_down"] == 1 })
	must(t, h.SetName(index, "other"))
	must(t, h.SetUp(index))
	testnet.Eventually(t, "up", func() bool { return childStatus(t, d, "other").Up })
	l.expect(d, p, seven, map[string]uint64{"other": 1})

	must(t, h.MoveToNetNS(index, there.FD()))
	testnet.Eventually(t, "move", func() bool { return childStatus(t, d, "other").NetNS == there.ID() })
	must(t, there.Link().SetUp(there.Index("other")))
	testnet.Eventually(t, "up", func() bool { return childStatus(t, d, "other").Up })
	l.expect(d, p, seven, map[string]uint64{"other": 1})

	// A parent that is down carries nothing for its children.
	l.down(d, "net0")
	socket := there.Packet(testnet.PacketConfig{Interface: "other"})
	must(t, socket.Send(packet(1)))
	testnet.Eventually(t, "drop", func() bool {
		c := childStatus(t, d, "other")
		return c.Drops["tx_inactive"] == 1 && c.Stats.TxDropped == 1
	})
	l.up(d, "net0")
	must(t, socket.Send(packet(2)))
	testnet.Eventually(t, "packet", func() bool { return childStatus(t, d, "other").Stats.TxPackets == 1 && l.header("b").WC == 1 })
	must(t, d.DeleteChild("other"))
	if names := there.Names(); len(names) > 0 {
		t.Errorf("%v is left", names)
	}
}

// A child has its parent's carrier from the beginning.
func TestChildCarrier(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	i := netHdr("net0")
	i.Carrier = config.CarrierPeer
	l.mustLoad(d, i)
	l.up(d, "net0")
	p := l.peer("a")
	for range 3 {
		for _, active := range []bool{true, false} {
			if active {
				p.start()
			} else {
				p.w.Stop()
			}
			testnet.Eventually(t, "carrier", func() bool { return l.ns.State("net0").Carrier == active })
			l.child(d, "child0")
			testnet.Eventually(t, "carrier of a new child", func() bool { return l.ns.State("child0").Carrier == active })
			if active {
				p.w.Stop()
			} else {
				p.start()
			}
			testnet.Eventually(t, "other carrier", func() bool { return l.ns.State("child0").Carrier == !active })
			must(t, d.DeleteChild("child0"))
		}
	}
}

func TestAdoptsChildren(t *testing.T) {
	for _, moved := range []bool{false, true} {
		l := newLab(t)
		there := l.ns
		d := l.driver()
		l.mustLoad(d, netHdr("net0"))
		l.up(d, "net0")
		l.child(d, "child0", 7, 9)
		l.child(d, "child1", 1)
		l.child(d, "gone", 2)
		h := l.ns.Link()
		must(t, h.SetName(l.ns.State("child0").Index, "other"))
		must(t, h.AddAddress(l.ns.State("other").Index, netip.MustParsePrefix("10.0.0.1/24")))
		if moved {
			there = l.inhabited()
			must(t, h.MoveToNetNS(l.ns.State("other").Index, there.FD()))
			testnet.Eventually(t, "move", func() bool { return childStatus(t, d, "other").NetNS == there.ID() })
			must(t, there.Link().SetUp(there.Index("other")))
			must(t, d.DeleteMark("other", 9)) // which saves, too
			must(t, d.AddMark("other", 9))
		}
		testnet.Eventually(t, "rename", func() bool { return len(childStatus(t, d, "other").Marks) > 0 })
		crash(d)
		must(t, h.Delete(l.ns.State("gone").Index))

		d = l.driver()
		l.mustLoad(d, netHdr("net0"))
		p := l.peer("a")
		p.start()
		s := status(t, d)
		if len(s.Children) != 2 || !s.Children[0].Adopted || s.Children[0].NetNS != there.ID() || !slices.Equal(s.Children[0].Marks, []uint32{7, 9}) {
			t.Fatalf("moved %v: children %+v", moved, s.Children)
		}
		testnet.Eventually(t, "children up", func() bool { return childStatus(t, d, "other").Up && childStatus(t, d, "child1").Up })
		l.expect(d, p, []uint32{0, 1, 2, 7, 9}, map[string]uint64{"": 2, "other": 2, "child1": 1})
		if !moved {
			if out := l.ns.MustRun("ip", "-4", "addr", "show", "dev", "other"); !strings.Contains(out, "10.0.0.1/24") {
				t.Errorf("the address is gone:\n%s", out)
			}
		}
		if m := s.Children[0].Marking; m.Outgoing != "active" || !strings.HasPrefix(m.Incoming, "active") {
			t.Errorf("marks %+v", m)
		}
		must(t, d.Close())
		if names := append(l.ns.Names(), there.Names()...); len(names) > 0 {
			t.Errorf("%v is left", names)
		}
	}
}

// Without BPF children still receive by mark, and one log line says what is
// missing.
func TestChildrenWithoutBPF(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	d.opt.NoBPF = true
	l.mustLoad(d, netHdr("net0"), Interface{Name: "net1", Format: element.NetHdr, Out: "c", WriterProtocol: testProtocol})
	must(t, d.Unload("net1"))
	l.up(d, "net0")
	p := l.peer("a")
	p.start()
	l.child(d, "child0", 7)
	l.expect(d, p, []uint32{0, 7, 8, 7}, map[string]uint64{"": 2, "child0": 2})
	s := status(t, d)
	for _, m := range []*api.Marking{s.Marking, s.Children[0].Marking} {
		if m.Outgoing != errNoBPF.Error() || m.Incoming != errNoBPF.Error() || m.Queues != 1 {
			t.Errorf("marks %+v", m)
		}
	}
	if u := s.Children[0].Marking.Unmarked; u != 2 {
		t.Errorf("%d packets are said to have lost their marks, want 2", u)
	}
	if n := l.log.count("Netfilter marks are not carried"); n != 1 {
		t.Errorf("%d warnings, want 1", n)
	}
}

// A packet sent through a child has its mark in the element, whatever set the
// mark.
func TestChildSendsMarks(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	l.up(d, "net0")
	l.child(d, "child0")
	must(t, l.ns.Link().AddAddress(l.ns.State("child0").Index, netip.MustParsePrefix("10.1.0.1/24")))
	send := l.sender("10.1.0.2")
	r := l.reader("b")
	for _, mark := range []uint32{0, 1, 7, 0xffffffff, 7, 0} {
		send(mark)
		var e element.Packet
		testnet.Eventually(t, "element", func() bool {
			p, result := r()
			e = p
			return result == shmstream.Success
		})
		if e.Mark != mark {
			t.Errorf("an element with mark %#x, want %#x", e.Mark, mark)
		}
	}
	if c := childStatus(t, d, "child0"); c.Stats.TxPackets != 6 || c.Marking.Outgoing != "active" {
		t.Errorf("%+v", c)
	}
}
