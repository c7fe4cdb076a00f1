package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/testnet"
)

// mixed starts a with an MTU of 9000 and b with one of 1500.
func mixed(t *testing.T, flags string) *pair {
	t.Helper()
	params := []string{"flags=" + flags, "reader_protocol=12", "writer_protocol=12"}
	return startPair(t, append([]string{"mtu=9000"}, params...), params)
}

// longer checks that b has counted n packets as longer than its own MTU, and
// none as dropped.
func (p *pair) longer(t *testing.T, n uint64) {
	t.Helper()
	s := p.b.show("net0")
	if s.Oversize != n || s.Stats.RxDropped > 0 || s.Stats.RxErrors > 0 || len(s.Drops) > 0 || s.Reader.ElementSize < 9000 {
		t.Errorf("%d are longer, want %d; %+v, drops %v, elements of %d bytes", s.Oversize, n, s.Stats, s.Drops, s.Reader.ElementSize)
	}
}

func TestMixedMTUIP(t *testing.T) {
	begin(t)
	p := mixed(t, "net_hdr")
	p.up()
	a, b := listenUDP(t, p.a, addrA), listenUDP(t, p.b, addrB)
	for range 10 {
		datagrams(t, a, b, 3000, 1500-overhead4+1, 1500-overhead4, 9000-overhead4)
	}
	datagrams(t, a, b, sizes(0, 1500-overhead4)...)
	datagrams(t, b, a, sizes(0, 1500-overhead4)...)
	p.longer(t, 30)
	// Also after the interface was made narrower.
	p.b.ip("link set net0 mtu 1300")
	p.b.awaitShow("net0", "the new MTU is in force", func(s api.Interface) bool { return s.MTU == 1300 })
	p.connected()
	datagrams(t, a, b, 1300-overhead4+1, 1300-overhead4)
	p.longer(t, 31)
	for _, way := range []struct {
		from, to *host
		addr     string
	}{{p.a, p.b, addrB}, {p.b, p.a, addrA6}} {
		client, server := connect(t, way.from, way.to, way.addr)
		if _, err := stream(client, server, func(sent int) bool { return sent < 64 }); err != nil {
			t.Errorf("to %s: %v", way.addr, err)
		}
	}
}

func TestMixedMTUEthernet(t *testing.T) {
	begin(t)
	p := mixed(t, "eth_dev")
	p.upQuiet()
	a, b := p.a.socket(), p.b.socket()
	exchange(t, a, b, frames(p.a, p.b, 1518, 1519, 3000, 9014), same)
	exchange(t, a, b, frames(p.a, p.b, sizes(headerSize, headerSize+1500)...), same)
	exchange(t, b, a, frames(p.b, p.a, sizes(headerSize, headerSize+1500)...), same)
	p.longer(t, 3)
}

// Raw packets are as long as the sender's elements, whatever was put into them.
func TestMixedMTURaw(t *testing.T) {
	begin(t)
	p := mixed(t, "")
	p.upQuiet()
	a, b := p.a.packets(), p.b.packets()
	exchange(t, b, a, raw(1, 700, 1500), padded(1500))
	exchange(t, a, b, raw(1, 700, 1500, 9000), padded(9000))
	p.longer(t, 4)
	p.b.ip("link set net0 mtu 9000")
	p.connected()
	p.b.awaitShow("net0", "the new MTU is in force", func(s api.Interface) bool { return s.MTU == 9000 })
	exchange(t, b, a, raw(1, 700, 1500, 9000), padded(9000))
	exchange(t, a, b, raw(1, 700, 1500, 9000), padded(9000))
	p.longer(t, 4)
}

func TestJumbo(t *testing.T) {
	for _, test := range []struct {
		flags string
		mtu   int
	}{{"net_hdr", 9000}, {"net_hdr", 65535}, {"eth_dev", 9000}, {"eth_dev", 65521}} {
		t.Run(fmt.Sprintf("%s %d", test.flags, test.mtu), func(t *testing.T) {
			begin(t)
			p := newPair(t, test.flags, fmt.Sprintf("mtu=%d", test.mtu))
			p.up()
			largest := test.mtu - overhead4
			ping := newPinger(t, p.a, addrA, addrB)
			for _, size := range []int{0, 1472, 1473, largest - 1, largest} {
				ping.echo(content(size, size))
			}
			a, b := listenUDP(t, p.a, addrA), listenUDP(t, p.b, addrB)
			datagrams(t, a, b, 0, 1473, largest)
			datagrams(t, b, a, 0, 1473, largest)
			client, server := connect(t, p.a, p.b, addrB6)
			if _, err := stream(client, server, func(sent int) bool { return sent < 64 }); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("raw 65535", func(t *testing.T) {
		begin(t)
		p := newPair(t, "", "mtu=65535")
		p.upQuiet()
		a, b := p.a.packets(), p.b.packets()
		// A ring of 15 elements: one at a time.
		for _, packet := range raw(1, 1500, 65534, 65535) {
			exchange(t, a, b, [][]byte{packet}, padded(65535))
			exchange(t, b, a, [][]byte{packet}, padded(65535))
		}
	})
}

// ipPacket is an IPv4 packet of n bytes with protocol 253 (for experiments).
func ipPacket(t *testing.T, from, to string, n int) []byte {
	t.Helper()
	h := ipv4.Header{Version: 4, Len: ipv4.HeaderLen, TotalLen: n, TTL: 64, Protocol: 253,
		Src: net.ParseIP(from).To4(), Dst: net.ParseIP(to).To4()}
	header, err := h.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return append(header, content(n, n-len(header))...)
}

func TestWrongProtocolPeer(t *testing.T) {
	begin(t)
	h := newHost(t, makeChannels(t, "in", "out"))
	h.start("name=net0", "in=in", "out=out", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12")
	h.Quiet()
	h.ip("link set net0 up")
	p := newPeer(t, h.channels, "in")
	socket := h.packets()
	packet := ipPacket(t, addrB, addrA, 100)
	for range 2 {
		p.start(0xc, 1508) // hexadecimal 12 taken for a decimal number
		h.awaitShow("net0", "the peer is incompatible", func(s api.Interface) bool {
			return s.Reader.Peer == "incompatible" && strings.Contains(s.Reader.Reason, "protocol") &&
				strings.Contains(s.Reader.Reason, "0xc") && strings.Contains(s.Reader.Reason, "0x12")
		})
		if text := h.must("show", "net0"); !strings.Contains(text, "incompatible: protocol is 0xc, expected 0x12") {
			t.Errorf("the reason is not shown:\n%s", text)
		}
		before := h.show("net0").Stats.RxPackets
		p.send(element.NetHdr, packet, 0)
		p.Stop()
		p.ring()
		h.awaitShow("net0", "the peer is inactive", func(s api.Interface) bool { return s.Reader.Peer == "inactive" })
		if after := h.show("net0"); after.Stats.RxPackets != before || after.Reader.Reason != "" {
			t.Errorf("%d packets, before %d; reason %q: want none of either", after.Stats.RxPackets, before, after.Reader.Reason)
		}

		p.start(0x12, 1508)
		h.awaitShow("net0", "the peer is active", func(s api.Interface) bool { return s.Reader.Peer == "active" })
		p.send(element.NetHdr, packet, 0)
		got, err := socket.Recv(patience)
		if err != nil || string(got) != string(packet) {
			t.Errorf("received %x, error %v; want %x", got, err, packet)
		}
	}
}

func TestWrongProtocolIsPutRight(t *testing.T) {
	begin(t)
	right := []string{"flags=net_hdr", "reader_protocol=12", "writer_protocol=12"}
	wrong := []string{"flags=net_hdr", "reader_protocol=12", "writer_protocol=13"}
	p := startPair(t, right, wrong)
	p.a.Up("net0", addrA+"/24")
	p.b.Up("net0", addrB+"/24")
	p.a.awaitShow("net0", "b is incompatible", func(s api.Interface) bool {
		return s.Reader.Peer == "incompatible" && strings.Contains(s.Reader.Reason, "0x13")
	})
	p.b.awaitShow("net0", "a is active all the same", func(s api.Interface) bool { return s.Reader.Peer == "active" })

	p.b.must("unload", "net0")
	p.b.load(append([]string{"name=net0", "in=ab", "out=ba"}, right...)...)
	p.b.Up("net0", addrB+"/24")
	p.connected()
	newPinger(t, p.a, addrA, addrB).sweep(0, 100)
}

func TestOneWay(t *testing.T) {
	begin(t)
	dir := makeChannels(t, "ab")
	p := pair{newHost(t, dir), newHost(t, dir)}
	p.a.start("name=net0", "out=ab", "flags=net_hdr", "writer_protocol=12")
	p.b.start("name=net0", "in=ab", "flags=net_hdr", "reader_protocol=12")
	for _, h := range []*host{p.a, p.b} {
		h.Quiet()
	}
	p.a.Up("net0", addrA+"/24")
	p.b.Up("net0", addrB+"/24")
	p.b.awaitShow("net0", "a is active", func(s api.Interface) bool { return s.Reader.Peer == "active" })

	a, b := listenUDP(t, p.a, addrA), listenUDP(t, p.b, addrB)
	all := sizes(0, 1500-overhead4)
	datagrams(t, a, b, all...)
	// The way back does not exist: counted, and no harm to the other one.
	for range 5 {
		if _, err := b.WriteTo(content(1, 100), a.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	p.b.awaitShow("net0", "what cannot be sent is counted", func(s api.Interface) bool {
		return s.Stats.TxDropped == 5 && s.Drops["tx_no_channel"] == 5
	})
	datagrams(t, a, b, all...)

	out, in := p.a.show("net0"), p.b.show("net0")
	want := uint64(2 * len(all))
	if out.Reader != nil || out.Writer == nil || out.Stats.TxPackets != want || out.Stats.RxPackets != 0 {
		t.Errorf("out only: %+v, reader %v, writer %v; want %d packets sent", out.Stats, out.Reader, out.Writer, want)
	}
	if in.Writer != nil || in.Reader == nil || in.Stats.RxPackets != want || in.Stats.TxPackets != 0 {
		t.Errorf("in only: %+v, reader %v, writer %v; want %d packets received", in.Stats, in.Reader, in.Writer, want)
	}
	for h, line := range map[*host]string{p.a: "reader is disabled", p.b: "writer is disabled"} {
		if text := h.must("show"); !strings.Contains(text, line) {
			t.Errorf("%q is not in\n%s", line, text)
		}
	}
}

func TestOneWayEthernet(t *testing.T) {
	begin(t)
	dir := makeChannels(t, "ab")
	a, b := newHost(t, dir), newHost(t, dir)
	a.start("name=net0", "out=ab", "flags=eth_dev", "writer_protocol=12")
	b.start("name=net0", "in=ab", "flags=eth_dev", "reader_protocol=12")
	for _, h := range []*host{a, b} {
		h.Quiet()
		h.ip("link set net0 up")
	}
	b.awaitShow("net0", "a is active", func(s api.Interface) bool { return s.Reader.Peer == "active" })
	to := b.Packet(testnet.PacketConfig{Interface: "net0", Protocol: unix.ETH_P_ALL})
	exchange(t, a.socket(), to, frames(a, b, sizes(headerSize, 300)...), same)
}
