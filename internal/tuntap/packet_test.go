package tuntap_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/internal/tuntap"
	"golang.org/x/sys/unix"
)

// With packet information of ethertype 0, packet sockets and the device
// exchange any bytes at all.
func TestRawBytesPassUnchanged(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "raw0", PacketInfo: true})
	if err := ns.Link().SetMTU(index(t, dev), 2000); err != nil {
		t.Fatal(err)
	}
	sock := ns.Packet(testnet.PacketConfig{Interface: "raw0"})
	header := make([]byte, tuntap.PacketInfoSize)
	buf := make([]byte, tuntap.PacketInfoSize+2000)
	random := rand.NewChaCha8([32]byte{1})
	for n := 1; n <= 2000; n++ {
		packet := make([]byte, n)
		_, _ = random.Read(packet)
		// What looks like IP gets the ethertype of IP on the way out.
		packet[0] &= 0x0f
		exchange(t, dev, sock, header, packet, buf)
	}
}

func TestPacketInfoNamesTheEthertype(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "raw0", PacketInfo: true})
	sock := ns.Packet(testnet.PacketConfig{Interface: "raw0", Protocol: unix.ETH_P_IP, Send: unix.ETH_P_IP})
	buf := make([]byte, 2000)
	exchange(t, dev, sock, []byte{0, 0, 0x08, 0x00}, ipv4(100), buf)
}

func TestIPPacketsPassUnchanged(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "net0"})
	sock := ns.Packet(testnet.PacketConfig{Interface: "net0", Send: unix.ETH_P_IP})
	buf := make([]byte, 2000)
	for n := 28; n <= 1500; n += 7 {
		exchange(t, dev, sock, nil, ipv4(n), buf)
	}
}

func TestFramesPassUnchanged(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "eth0", Kind: tuntap.TAP})
	sock := ns.Packet(testnet.PacketConfig{Interface: "eth0"})
	buf := make([]byte, 2000)
	for n := 15; n <= 1514; n += 7 {
		exchange(t, dev, sock, nil, frame(n), buf)
	}
}

func TestReadDoesNotWait(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "net0"})
	if n, _, err := dev.Read(make([]byte, 100)); n != 0 || err != tuntap.ErrAgain {
		t.Errorf("read %d bytes, error %v; want %v", n, err, tuntap.ErrAgain)
	}
}

func TestShortBufferCutsThePacketOnly(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "eth0", Kind: tuntap.TAP})
	sock := ns.Packet(testnet.PacketConfig{Interface: "eth0"})
	for range 2 {
		if err := sock.Send(frame(100)); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, dev, make([]byte, 20)); string(got) != string(frame(100)[:20]) {
		t.Errorf("read %x", got)
	}
	if got := read(t, dev, make([]byte, 200)); string(got) != string(frame(100)) {
		t.Errorf("the next packet is %x", got)
	}
}

func TestRefusedPacketsDoNoHarm(t *testing.T) {
	for _, c := range []struct {
		name   string
		cfg    tuntap.Config
		packet []byte
	}{
		{"empty on TUN", tuntap.Config{}, nil},
		{"no IP version on TUN", tuntap.Config{}, make([]byte, 100)},
		{"header cut on raw", tuntap.Config{PacketInfo: true}, make([]byte, 3)},
		{"empty on TAP", tuntap.Config{Kind: tuntap.TAP}, nil},
		{"header cut on TAP", tuntap.Config{Kind: tuntap.TAP}, frame(14)[:13]},
	} {
		t.Run(c.name, func(t *testing.T) {
			ns := namespace(t)
			c.cfg.Name = "net0"
			dev := open(t, ns, c.cfg)
			if n, err := dev.Write(c.packet); err != unix.EINVAL {
				t.Errorf("wrote %d bytes, error %v; want %v", n, err, unix.EINVAL)
			}
			good := ipv4(100)
			switch {
			case c.cfg.PacketInfo:
				good = append(make([]byte, tuntap.PacketInfoSize), good...)
			case c.cfg.Kind == tuntap.TAP:
				good = frame(100)
			}
			write(t, dev, good)
		})
	}
}

func TestWriteWhileDown(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "net0"})
	h, i := ns.Link(), index(t, dev)
	if err := h.SetDown(i); err != nil {
		t.Fatal(err)
	}
	if _, err := dev.Write(ipv4(100)); err != tuntap.ErrDown {
		t.Errorf("error %v, want %v", err, tuntap.ErrDown)
	}
	if err := h.SetUp(i); err != nil {
		t.Fatal(err)
	}
	write(t, dev, ipv4(100))
}

func TestPacketPathDoesNotAllocate(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "eth0", Kind: tuntap.TAP})
	sock := ns.Packet(testnet.PacketConfig{Interface: "eth0"})
	packet, buf := frame(1000), make([]byte, 2000)
	const runs = 100
	send := func(n int) {
		t.Helper()
		for range n {
			if err := sock.Send(packet); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(what string, f func() error, want error) {
		t.Helper()
		var got error
		if n := testing.AllocsPerRun(runs, func() { got = f() }); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
		if !errors.Is(got, want) {
			t.Errorf("%s: error %v, want %v", what, got, want)
		}
	}
	readOne := func() error { _, _, err := dev.Read(buf); return err }
	writeOne := func() error { _, err := dev.Write(packet); return err }

	send(runs + 1)
	check("Read", readOne, nil)
	check("Read without a packet", readOne, tuntap.ErrAgain)
	send(runs + 1)
	ready := func() bool { return readOne() == nil }
	check("Wait and Read", func() error { return dev.Wait(ready) }, nil)
	check("Write", writeOne, nil)
	if err := ns.Link().SetDown(index(t, dev)); err != nil {
		t.Fatal(err)
	}
	check("Write while down", writeOne, tuntap.ErrDown)
}

func BenchmarkWrite1500(b *testing.B) {
	ns := namespace(b)
	dev := open(b, ns, tuntap.Config{Name: "net0"})
	packet := ipv4(1500)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dev.Write(packet); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadNothing(b *testing.B) {
	ns := namespace(b)
	dev := open(b, ns, tuntap.Config{Name: "net0"})
	buf := make([]byte, 1500)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := dev.Read(buf); err != tuntap.ErrAgain {
			b.Fatal(err)
		}
	}
}
