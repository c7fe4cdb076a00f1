package tuntap_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/internal/tuntap"
)

func TestNameIndexAndNamespaceFollow(t *testing.T) {
	ns, there := namespace(t), testnet.New(t)
	there.Quiet()
	// The index is taken where it goes, so it gets another one.
	there.MustRun("ip", "tuntap", "add", "other", "mode", "tun")
	dev := open(t, ns, tuntap.Config{Name: "eth0", Kind: tuntap.TAP})
	before := index(t, dev)
	if name(t, dev) != "eth0" || before != ns.Index("eth0") || netns(t, dev) != ns.ID() {
		t.Fatalf("%s, index %d, namespace %d at the start", name(t, dev), before, netns(t, dev))
	}
	if before != there.Index("other") {
		t.Fatalf("indexes %d and %d are to be the same", before, there.Index("other"))
	}
	buf := make([]byte, 2000)

	ns.MustRun("ip", "link", "set", "eth0", "down")
	ns.MustRun("ip", "link", "set", "eth0", "name", "renamed")
	ns.MustRun("ip", "link", "set", "renamed", "up")
	if name(t, dev) != "renamed" || index(t, dev) != before || netns(t, dev) != ns.ID() {
		t.Errorf("%s, index %d, namespace %d after the rename", name(t, dev), index(t, dev), netns(t, dev))
	}
	exchange(t, dev, ns.Packet(testnet.PacketConfig{Interface: "renamed"}), nil, frame(100), buf)

	ns.MustRun("ip", "link", "set", "renamed", "netns", there.Path())
	there.MustRun("ip", "link", "set", "renamed", "up")
	if name(t, dev) != "renamed" || netns(t, dev) != there.ID() {
		t.Errorf("%s in namespace %d after the move", name(t, dev), netns(t, dev))
	}
	if after := index(t, dev); after != there.Index("renamed") || after == before {
		t.Errorf("index %d after the move, want %d", after, there.Index("renamed"))
	}
	if dev.Gone() {
		t.Error("gone after the move")
	}
	exchange(t, dev, there.Packet(testnet.PacketConfig{Interface: "renamed"}), nil, frame(100), buf)

	// The old name is free for another device, which is not taken for this one.
	open(t, ns, tuntap.Config{Name: "renamed"})
	if netns(t, dev) != there.ID() || index(t, dev) != there.Index("renamed") {
		t.Error("taken for another device with its old name")
	}
}

// A Wait that was there before a move is woken by packets after it.
func TestWaitSurvivesMove(t *testing.T) {
	ns, there := namespace(t), testnet.New(t)
	there.Quiet()
	dev := open(t, ns, tuntap.Config{Name: "eth0", Kind: tuntap.TAP})
	ended := waiting(dev)
	if err := ns.Link().MoveToNetNS(index(t, dev), there.FD()); err != nil {
		t.Fatal(err)
	}
	if err := there.Link().SetUp(index(t, dev)); err != nil {
		t.Fatal(err)
	}
	if err := there.Packet(testnet.PacketConfig{Interface: "eth0"}).Send(frame(60)); err != nil {
		t.Fatal(err)
	}
	if err := result(t, ended); err != nil {
		t.Error(err)
	}
}

func TestPersistenceAndAttaching(t *testing.T) {
	for _, cfg := range []tuntap.Config{
		{Name: "net0"},
		{Name: "net0", PacketInfo: true},
		{Name: "net0", Kind: tuntap.TAP},
	} {
		ns := namespace(t)
		dev := open(t, ns, cfg)
		i := index(t, dev)
		if err := ns.Link().AddAddress(i, netip.MustParsePrefix("10.0.0.1/24")); err != nil {
			t.Fatal(err)
		}
		if err := dev.SetPersist(true); err != nil {
			t.Fatal(err)
		}
		if err := dev.Close(); err != nil {
			t.Fatal(err)
		}
		if s := state(t, ns, i); s.Name != "net0" || !s.Up || s.Carrier {
			t.Errorf("%+v: left behind is %+v, want net0 up without carrier", cfg, s)
		}
		// Without an owner, any user who can open /dev/net/tun could take it.
		if out := ns.MustRun("ip", "-d", "link", "show", "net0"); !strings.Contains(out, " user root ") {
			t.Errorf("%+v: root does not own the device:\n%s", cfg, out)
		}
		_, err := tryOpen(ns, cfg)
		if !errors.Is(err, tuntap.ErrNameTaken) {
			t.Errorf("%+v: error %v without Attach", cfg, err)
		}

		cfg.Attach = true
		again := open(t, ns, cfg)
		if !again.Attached() || index(t, again) != i {
			t.Errorf("%+v: attached %v, index %d; want index %d", cfg, again.Attached(), index(t, again), i)
		}
		if out := ns.MustRun("ip", "addr", "show", "net0"); !strings.Contains(out, "10.0.0.1/24") {
			t.Errorf("%+v: the address is lost:\n%s", cfg, out)
		}
		header, packet := []byte(nil), frame(100)
		if cfg.PacketInfo {
			header = make([]byte, tuntap.PacketInfoSize)
		}
		if cfg.Kind == tuntap.TUN && !cfg.PacketInfo {
			packet = ipv4(100)
		} else if cfg.PacketInfo {
			packet = make([]byte, 100)
		}
		sock := ns.Packet(testnet.PacketConfig{Interface: "net0"})
		exchange(t, again, sock, header, packet, make([]byte, 2000))

		if err := again.SetPersist(false); err != nil {
			t.Fatal(err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := ns.Link().ByIndex(i); !errors.Is(err, link.ErrNotFound) {
			t.Errorf("%+v: still there, error %v", cfg, err)
		}
	}
}

func TestCarrier(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "net0"})
	i := index(t, dev)
	if !state(t, ns, i).Carrier {
		t.Error("no carrier after Open")
	}
	for _, want := range []bool{false, false, true, false} {
		if err := dev.SetCarrier(want); err != nil {
			t.Fatal(err)
		}
		if s := state(t, ns, i); s.Carrier != want || !s.Up {
			t.Errorf("carrier %v, up %v; want %v, true", s.Carrier, s.Up, want)
		}
	}
}

func TestHardwareAddr(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "eth0", Kind: tuntap.TAP})
	want := net.HardwareAddr{2, 1, 2, 3, 4, 5}
	if err := dev.SetHardwareAddr(want); err != nil {
		t.Fatal(err)
	}
	got, err := dev.HardwareAddr()
	if err != nil || got.String() != want.String() {
		t.Errorf("address %v, error %v; want %v", got, err, want)
	}
	if s := state(t, ns, index(t, dev)); s.HardwareAddr.String() != want.String() {
		t.Errorf("rtnetlink says %v, want %v", s.HardwareAddr, want)
	}
	for _, bad := range []net.HardwareAddr{nil, want[:5], {1, 0, 0, 0, 0, 0}, make([]byte, 6), make([]byte, 8)} {
		if err := dev.SetHardwareAddr(bad); err == nil {
			t.Errorf("took %v", bad)
		}
	}
	if got, err := dev.HardwareAddr(); err != nil || got.String() != want.String() {
		t.Errorf("address %v, error %v; want still %v", got, err, want)
	}

	tun := open(t, ns, tuntap.Config{Name: "net0"})
	if err := tun.SetHardwareAddr(want); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a TUN: error %v, want %v", err, errors.ErrUnsupported)
	}
	if a, err := tun.HardwareAddr(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a TUN: address %v, error %v; want %v", a, err, errors.ErrUnsupported)
	}
}
