package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/internal/tuntap"
	"github.com/muennet/muennet/shmstream"
)

// ethertype is one for local experiments: IEEE 802, local experimental 1.
const ethertype = 0x88b5

// headerSize is the length of an Ethernet header.
const headerSize = 14

// frame is an Ethernet frame of n bytes between two addresses.
func frame(to, from net.HardwareAddr, n int) []byte {
	f := append(append(make([]byte, 0, n), to...), from...)
	f = binary.BigEndian.AppendUint16(f, ethertype)
	return append(f, content(n, n-headerSize)...)
}

// frames are Ethernet frames of these sizes from one host's net0 to the
// other's.
func frames(from, to *host, sizes ...int) (all [][]byte) {
	source, destination := from.State("net0").HardwareAddr, to.State("net0").HardwareAddr
	for _, n := range sizes {
		all = append(all, frame(destination, source, n))
	}
	return all
}

// socket receives and sends the frames of ethertype.
func (h *host) socket() *testnet.PacketSocket {
	h.t.Helper()
	return h.Packet(testnet.PacketConfig{Interface: "net0", Protocol: ethertype, Send: ethertype})
}

func TestEthernetARPAndPing(t *testing.T) {
	begin(t)
	p := newPair(t, "eth_dev")
	p.up()
	newPinger(t, p.a, addrA, addrB).sweep(0, 1500-overhead4)
	newPinger(t, p.b, addrB6, addrA6).sweep(0, 1500-overhead6)
	for _, way := range []struct {
		from, to *host
		addr     string
	}{{p.a, p.b, addrB}, {p.b, p.a, addrA}, {p.a, p.b, addrB6}} {
		neighbour := way.from.ip("neigh show dev net0 to " + way.addr)
		if want := "lladdr " + way.to.State("net0").HardwareAddr.String(); !strings.Contains(neighbour, want) {
			t.Errorf("neighbour %q, want %q", neighbour, want)
		}
	}
	client, server := connect(t, p.a, p.b, addrB)
	if _, err := stream(client, server, func(sent int) bool { return sent < 256 }); err != nil {
		t.Error(err)
	}
	a, b := listenUDP(t, p.a, addrA), listenUDP(t, p.b, addrB)
	datagrams(t, a, b, 0, 1, 1472, 1473, 65507)
	datagrams(t, b, a, 0, 1, 1472, 1473, 65507)
}

func TestEthernetFramesOfEverySize(t *testing.T) {
	begin(t)
	p := newPair(t, "eth_dev")
	p.upQuiet()
	all := sizes(headerSize, headerSize+1500)
	a, b := p.a.socket(), p.b.socket()
	exchange(t, a, b, frames(p.a, p.b, all...), same)
	exchange(t, b, a, frames(p.b, p.a, all...), same)
	p.nothingLost(t)
	want := uint64(len(all))
	for _, h := range []*host{p.a, p.b} {
		if s := h.show("net0").Stats; s.TxPackets != want || s.RxPackets != want {
			t.Errorf("%+v, want %d packets each way", s, want)
		}
	}
}

func TestEthernetBridge(t *testing.T) {
	begin(t)
	p := newPair(t, "eth_dev")
	// b ── channels ── net0 of a ── bridge of a ── veth ── behind
	behind := newHost(t, p.a.channels)
	p.a.AddVeth("port", behind.NS, "eth0")
	p.a.ip("link add br0 type bridge")
	for _, port := range []string{"net0", "port"} {
		p.a.ip("link set " + port + " master br0 up")
	}
	p.a.Up("br0", addrA+"/24")
	p.b.Up("net0", addrB+"/24")
	behind.Up("eth0", "192.168.1.3/24")
	p.connected()

	newPinger(t, p.b, addrB, "192.168.1.3").sweep(0, 1500-overhead4)
	newPinger(t, behind, "192.168.1.3", addrB).sweep(0, 1500-overhead4)
	newPinger(t, p.b, addrB, addrA).sweep(0, 100)
	client, server := connect(t, p.b, behind, "192.168.1.3")
	for _, way := range [][2]*net.TCPConn{{client, server}, {server, client}} {
		if _, err := stream(way[0], way[1], func(sent int) bool { return sent < 256 }); err != nil {
			t.Error(err)
		}
	}
	// The bridge has learnt on which port each is.
	fdb := p.a.MustRun("bridge", "fdb", "show", "br", "br0", "brport", "net0")
	if mac := p.b.State("net0").HardwareAddr.String(); !strings.Contains(fdb, mac) {
		t.Errorf("%s is not learnt on net0:\n%s", mac, fdb)
	}
}

func TestEthernetVLAN(t *testing.T) {
	begin(t)
	p := newPair(t, "eth_dev")
	p.up()
	for _, h := range []*host{p.a, p.b} {
		out, err := h.Command("ip", strings.Fields("link add link net0 name net0.5 type vlan id 5")...).CombinedOutput()
		if strings.Contains(string(out), "Unknown device type") {
			t.Skip("this kernel has no VLAN interfaces (CONFIG_VLAN_8021Q); TestEthernetTaggedFrames does without")
		}
		if err != nil {
			t.Fatalf("add VLAN: %v: %s", err, out)
		}
		h.ip("link set net0.5 mtu 1496")
	}
	testVLAN(t, p, "net0.5")
}

// A VLAN as TestEthernetVLAN has it, its tags added and removed by the test.
func TestEthernetTaggedFrames(t *testing.T) {
	begin(t)
	p := newPair(t, "eth_dev")
	p.up()
	startVLAN(t, p.a, "net0", "vlan5", 5)
	startVLAN(t, p.b, "net0", "vlan5", 5)
	testVLAN(t, p, "vlan5")
}

// testVLAN checks a VLAN of MTU 1496 on top of net0: a full packet and its tag
// fill a frame.
func testVLAN(t *testing.T, p *pair, name string) {
	t.Helper()
	p.a.Up(name, "10.5.0.1/24")
	p.b.Up(name, "10.5.0.2/24")
	newPinger(t, p.a, "10.5.0.1", "10.5.0.2").sweep(0, 1496-overhead4)
	newPinger(t, p.b, "10.5.0.2", "10.5.0.1").sweep(0, 1496-overhead4)
	client, server := connect(t, p.a, p.b, "10.5.0.2")
	if _, err := stream(client, server, func(sent int) bool { return sent < 64 }); err != nil {
		t.Error(err)
	}
	// The untagged traffic goes on beside it.
	newPinger(t, p.a, addrA, addrB).sweep(1400, 1500-overhead4)
}

// startVLAN makes a VLAN interface out of a TAP and a packet socket on lower,
// until the test ends.
func startVLAN(t *testing.T, h *host, lower, name string, id uint16) {
	t.Helper()
	const addresses = 12
	tag := binary.BigEndian.AppendUint16([]byte{0x81, 0x00}, id)
	socket := h.Packet(testnet.PacketConfig{Interface: lower, Send: unix.ETH_P_8021Q})
	var tap *tuntap.Device
	h.Do(func() {
		var err error
		if tap, err = tuntap.Open(tuntap.Config{Name: name, Kind: tuntap.TAP}); err != nil {
			t.Fatal(err)
		}
	})
	h.ip("link set " + name + " mtu 1496 address " + h.State(lower).HardwareAddr.String())

	done := make(chan struct{}, 2)
	t.Cleanup(func() {
		tap.Close()
		socket.Close()
		<-done
		<-done
	})
	go func() { // out
		defer func() { done <- struct{}{} }()
		untagged, tagged := make([]byte, 2000), make([]byte, 2004)
		_ = tap.Wait(func() bool { // until the TAP is closed
			for {
				n, _, err := tap.Read(untagged)
				if err != nil {
					return err != tuntap.ErrAgain
				}
				out := append(append(append(tagged[:0], untagged[:addresses]...), tag...), untagged[addresses:n]...)
				_ = socket.Send(out) // what is lost here is missed at the other end
			}
		})
	}()
	go func() { // in
		defer func() { done <- struct{}{} }()
		for {
			f, err := socket.Recv(patience)
			if err != nil {
				return
			}
			if len(f) >= addresses+len(tag)+2 && bytes.Equal(f[addresses:][:len(tag)], tag) {
				_, _ = tap.Write(append(f[:addresses:addresses], f[addresses+len(tag):]...))
			}
		}
	}()
}

func TestEthernetAddress(t *testing.T) {
	begin(t)
	h := newHost(t, makeChannels(t, "in", "out", "other"))
	load := func(out string, params ...string) []string {
		return append([]string{"name=net0", "in=in", "out=" + out, "flags=eth_dev",
			"reader_protocol=1", "writer_protocol=1"}, params...)
	}
	address := func(what, want string) {
		t.Helper()
		got, shown := h.State("net0").HardwareAddr.String(), h.show("net0").MAC
		if got != want || shown != want {
			t.Errorf("%s: address is %s and shown as %s, want %s", what, got, shown, want)
		}
	}
	h.load(load("out")...)
	stable := h.State("net0").HardwareAddr
	if stable[0]&3 != 2 {
		t.Errorf("address %s, want one that is locally administered and not a group", stable)
	}
	address("first load", stable.String())

	h.must("unload", "net0")
	h.load(load("other")...)
	if other := h.State("net0").HardwareAddr; bytes.Equal(other, stable) {
		t.Errorf("address %s is that of an interface on other channels", other)
	}
	h.must("unload", "net0")
	h.load(load("out")...)
	address("after unload and load", stable.String())
	h.must("unload")

	h.start(load("out")...)
	address("after a restart", stable.String())
	h.kill()
	h.start(load("out")...)
	address("after a crash", stable.String())
	if !h.show("net0").Adopted {
		t.Error("the interface was made anew after a crash")
	}

	const changed = "02:00:00:00:00:43"
	h.ip("link set net0 up")
	h.ip("link set net0 address " + changed)
	h.awaitShow("net0", "the changed address is shown", func(s api.Interface) bool { return s.MAC == changed })
	h.kill()
	h.start(load("out")...)
	address("changed, after a crash", changed)
	h.stop()

	h.start(load("out", "mac=02:00:00:00:00:42")...)
	address("mac=", "02:00:00:00:00:42")
}

func TestEthernetAddressChangesUnderTraffic(t *testing.T) {
	begin(t)
	p := newPair(t, "eth_dev")
	p.up()
	ping := newPinger(t, p.a, addrA, addrB)
	ping.sweep(0, 10)
	for _, mac := range []string{"02:00:00:00:00:51", "02:00:00:00:00:52"} {
		p.b.ip("link set net0 address " + mac)
		p.a.ip("neigh flush dev net0")
		ping.sweep(0, 10)
		if n := p.a.ip("neigh show dev net0 to " + addrB); !strings.Contains(n, mac) {
			t.Errorf("neighbour %q, want %s", n, mac)
		}
	}
}

// A Solo5 peer copies frame lengths unchecked: it must never meet one that its
// 1514 bytes do not hold.
func TestSolo5PeerGetsShortFramesOnly(t *testing.T) {
	begin(t)
	solo := []string{"flags=eth_dev", "reader_protocol=7ade5c549b08e814", "writer_protocol=7ade5c549b08e814"}
	p := startPair(t, solo, solo)
	p.upQuiet()
	before := p.a.show("net0")

	// While the MTU is set back, longer frames may get past the kernel.
	a := p.a.socket()
	for _, mtu := range []int{1400, 1501, 9000, 68, 9000, 9000} {
		p.a.ip(fmt.Sprintf("link set net0 mtu %d", mtu))
		for range 20 {
			_ = a.Send(frames(p.a, p.b, headerSize+mtu)[0]) // or it is set back already
		}
		testnet.Eventually(t, "the MTU is set back", func() bool { return p.a.State("net0").MTU == 1500 })
	}
	// A tagged frame of 1518 bytes is the kernel's to send at any MTU.
	dropped := p.a.show("net0").Stats.TxDropped
	tagged := frames(p.a, p.b, headerSize+1500+4)[0]
	copy(tagged[12:], []byte{0x81, 0x00, 0x00, 0x05})
	vlan := p.a.Packet(testnet.PacketConfig{Interface: "net0", Send: unix.ETH_P_8021Q})
	if err := vlan.Send(tagged); err != nil {
		t.Fatal(err)
	}
	p.a.awaitShow("net0", "the tagged frame is dropped", func(s api.Interface) bool {
		return s.Stats.TxDropped == dropped+1 && s.Drops["tx_oversize"] > 0
	})

	sent := p.a.show("net0").Stats.TxPackets
	p.b.awaitShow("net0", "the frames so far have arrived", func(s api.Interface) bool { return s.Stats.RxPackets == sent })
	b := p.b.socket()
	exchange(t, a, b, frames(p.a, p.b, sizes(headerSize, headerSize+1500)...), same)
	after := p.a.show("net0")
	if after.Writer.Epoch != before.Writer.Epoch || after.Writer.ElementSize != 1516 || after.MTU != 1500 {
		t.Errorf("mtu %d, writer %+v; want what was before: %+v", after.MTU, after.Writer, before.Writer)
	}
	checkLengths(t, p.a.channels, "ab", headerSize+1500)
}

// checkLengths looks at every element that a channel of frames still holds.
func checkLengths(t *testing.T, channels, name string, most int) {
	t.Helper()
	r, err := region.Open(channels, name, region.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	h, err := shmstream.ReadHeader(r.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if h.WC < h.Elements {
		t.Fatalf("%d elements were written, want all %d to look at", h.WC, h.Elements)
	}
	for i := range h.Elements {
		e := r.Bytes()[shmstream.HeaderSize+i*h.Size:][:h.Size]
		if n := int(binary.LittleEndian.Uint16(e[h.Size-2:])); n > most {
			t.Errorf("element %d holds a frame of %d bytes", i, n)
		}
	}
	if size := element.EthDev.Size(1500); h.Size != uint64(size) {
		t.Errorf("elements of %d bytes, want %d", h.Size, size)
	}
}

func TestSolo5PeerRefusesOtherMTU(t *testing.T) {
	begin(t)
	h := newHost(t, makeChannels(t, "in", "out"))
	load := []string{"load", "name=net0", "in=in", "out=out", "flags=eth_dev", "mtu=9000",
		"reader_protocol=7ade5c549b08e814", "writer_protocol=7ade5c549b08e814"}
	r := h.muennet(load...)
	if r.code != 2 || !strings.Contains(r.stderr, "mtu") || !strings.Contains(r.stderr, "force=1") || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("exit code %d, %q; want 2 and one line on mtu and force=1", r.code, r.stderr)
	}
	if left := h.aliases(); len(left) > 0 || h.pid() != 0 {
		t.Errorf("a load that was refused left %q, process %d", left, h.pid())
	}
	h.must(append(load, "force=1")...)
	h.ip("link set net0 up")
	h.awaitShow("net0", "elements for an MTU of 9000", func(s api.Interface) bool {
		return s.MTU == 9000 && s.Writer.ElementSize == element.EthDev.Size(9000)
	})
	h.ip("link set net0 mtu 4000")
	h.awaitShow("net0", "elements for an MTU of 4000", func(s api.Interface) bool {
		return s.MTU == 4000 && s.Writer.ElementSize == element.EthDev.Size(4000)
	})
	if mtu := h.State("net0").MTU; mtu != 4000 {
		t.Errorf("MTU is %d, want what was set", mtu)
	}
}
