package driver

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// up sets the interface up and waits until the driver knows.
func (l *lab) up(d *Driver, name string) {
	l.t.Helper()
	if err := l.ns.Link().SetUp(l.ns.State(name).Index); err != nil {
		l.t.Fatal(err)
	}
	testnet.Eventually(l.t, "up", func() bool { return status(l.t, d).Up })
}

func (l *lab) down(d *Driver, name string) {
	l.t.Helper()
	if err := l.ns.Link().SetDown(l.ns.State(name).Index); err != nil {
		l.t.Fatal(err)
	}
	testnet.Eventually(l.t, "down", func() bool { return !status(l.t, d).Up })
}

// header reads the header of a channel, as any program could.
func (l *lab) header(channel string) shmstream.Header {
	l.t.Helper()
	r, err := region.Open(l.dir, channel, region.ReadOnly)
	if err != nil {
		l.t.Fatal(err)
	}
	defer r.Close()
	h, err := shmstream.ReadHeader(r.Bytes())
	if err != nil {
		l.t.Fatal(err)
	}
	return h
}

func TestUpAndDown(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	if h := l.header("b"); h.Epoch != 0 {
		t.Errorf("epoch %#x before the interface is up", h.Epoch)
	}
	seen := map[shmstream.Epoch]bool{0: true}
	for range 3 {
		l.up(d, "net0")
		h := l.header("b")
		if seen[h.Epoch] || h.Protocol != testProtocol || h.Size != 1508 {
			t.Errorf("header %+v, earlier epochs %v", h, seen)
		}
		seen[h.Epoch] = true
		l.down(d, "net0")
		if h := l.header("b"); h.Epoch != 0 {
			t.Errorf("epoch %#x while the interface is down", h.Epoch)
		}
	}
}

func TestMTUChangeRestartsTheWriter(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	l.up(d, "net0")
	before := l.header("b")
	if err := l.ns.Link().SetMTU(l.ns.State("net0").Index, 9000); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "larger elements", func() bool { return l.header("b").Size == 9008 })
	if h := l.header("b"); h.Epoch == before.Epoch {
		t.Error("the epoch is the same with other elements")
	}
	// More than the region holds: the direction stops with a reason, and goes
	// on when the MTU fits again.
	if err := l.ns.Link().SetMTU(l.ns.State("net0").Index, 65535); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "reason", func() bool { return status(t, d).Writer.Error != "" })
	if h := l.header("b"); h.Epoch != 0 {
		t.Errorf("header %+v", h)
	}
	if err := l.ns.Link().SetMTU(l.ns.State("net0").Index, 1500); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "elements that fit", func() bool {
		s := status(t, d)
		return s.Writer.Error == "" && s.Writer.Enabled && l.header("b").Size == 1508
	})
}

// The carrier follows the peer, even one that is there before the interface.
func TestCarrierFollowsThePeer(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	i := netHdr("net0")
	i.Carrier = config.CarrierPeer
	l.mustLoad(d, i)
	p := l.peer("a")
	carrier := func(want bool) {
		t.Helper()
		testnet.Eventually(t, "carrier", func() bool { return l.ns.State("net0").Carrier == want })
	}
	l.up(d, "net0")
	carrier(false)
	for range 3 {
		p.start()
		carrier(true)
		p.w.Stop()
		carrier(false)
	}
	p.start()
	for range 50 { // up finds the peer already active
		l.down(d, "net0")
		l.up(d, "net0")
		carrier(true)
	}
}

func TestCarrierFollowsTheAdministrator(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	for range 2 {
		l.up(d, "net0")
		testnet.Eventually(t, "carrier", func() bool { return l.ns.State("net0").Carrier })
		l.down(d, "net0")
	}
}

// arrives lets the peer send packets until one of them arrives.
func (l *lab) arrives(p *peer, socket *testnet.PacketSocket, number uint32) {
	l.t.Helper()
	testnet.Eventually(l.t, "packet", func() bool {
		p.send(number)
		got, err := socket.Recv(50 * time.Millisecond)
		return err == nil && bytes.Equal(got, packet(number))
	})
}

// send sends a packet through an interface. A packet socket that has seen its
// interface go down says so once, so each packet gets one of its own.
func (l *lab) send(name string, packet []byte) {
	l.t.Helper()
	socket := l.ns.Packet(testnet.PacketConfig{Interface: name})
	defer socket.Close()
	if err := socket.Send(packet); err != nil {
		l.t.Fatal(err)
	}
}

func TestInRegionThatShrinks(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	l.up(d, "net0")
	socket := l.ns.Packet(testnet.PacketConfig{Interface: "net0"})
	p := l.peer("a")
	p.start()
	l.arrives(p, socket, 1)
	file := filepath.Join(l.dir, "a")
	for n := uint32(2); n < 4; n++ {
		truncate(t, file, 0)
		testnet.Eventually(t, "fault", func() bool { s := status(t, d); return s.Reader.Error != "" && !s.Reader.Enabled })
		if s := status(t, d); !s.Writer.Enabled || s.Writer.Error != "" {
			t.Errorf("the other direction has stopped as well: %+v", s.Writer)
		}
		// Down and up cannot help yet, and must not harm.
		l.down(d, "net0")
		l.up(d, "net0")
		if s := status(t, d); s.Reader.Enabled {
			t.Error("enabled without a region")
		}
		truncate(t, file, 64<<10)
		testnet.Eventually(t, "recovery", func() bool { s := status(t, d); return s.Reader.Error == "" && s.Reader.Enabled })
		p.start()
		l.arrives(p, socket, n)
	}
}

func TestOutRegionThatShrinks(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	l.up(d, "net0")
	file := filepath.Join(l.dir, "b")
	for _, idle := range []bool{false, true} {
		truncate(t, file, 0)
		if idle {
			// Nothing is sent: the restart of the writer finds it.
			l.down(d, "net0")
			l.up(d, "net0")
		} else {
			l.send("net0", packet(1))
		}
		testnet.Eventually(t, "fault", func() bool { s := status(t, d); return s.Writer.Error != "" && !s.Writer.Enabled })
		if s := status(t, d); !s.Reader.Enabled {
			t.Errorf("the other direction has stopped as well: %+v", s.Reader)
		}
		truncate(t, file, 64<<10)
		testnet.Eventually(t, "recovery", func() bool { s := status(t, d); return s.Writer.Error == "" && s.Writer.Enabled })
		before := l.header("b")
		if before.Epoch == 0 {
			t.Error("inactive after the recovery")
		}
		l.send("net0", packet(2))
		testnet.Eventually(t, "packet", func() bool { return l.header("b").WC > before.WC })
	}
}

func TestDeletedInterfaceIsDropped(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	l.up(d, "net0")
	if err := l.ns.Link().Delete(l.ns.State("net0").Index); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "end", func() bool { return len(d.Status()) == 0 })
	testnet.Eventually(t, "inactive writer", func() bool { return l.header("b").Epoch == 0 })
	l.mustLoad(d, netHdr("net0"))
}

// The interface moves back and forth while the driver is closed: nothing may
// hang or be left behind.
func TestCloseDuringMoves(t *testing.T) {
	l := newLab(t)
	there := testnet.New(t)
	handles := []*link.Handle{l.ns.Link(), there.Link()}
	fds := []int{there.FD(), l.ns.FD()}
	for range 20 {
		d := l.driver()
		l.mustLoad(d, netHdr("net0"), Interface{Name: "net1", Format: element.NetHdr, Out: "c", WriterProtocol: testProtocol})
		index := l.ns.State("net0").Index
		moved := make(chan struct{})
		go func() {
			defer close(moved)
			for i := 0; handles[i%2].MoveToNetNS(index, fds[i%2]) == nil; i++ {
			}
		}()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		<-moved
		if here, other := l.ns.Names(), there.Names(); len(here)+len(other) != 0 {
			t.Fatalf("left here %v, there %v", here, other)
		}
	}
}
