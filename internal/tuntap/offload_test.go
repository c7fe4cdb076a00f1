package tuntap_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/offload"
	"github.com/muennet/muennet/internal/packet"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/internal/tuntap"
)

// everything is what a device can be asked for. UDP needs Linux 6.2.
func everything(t testing.TB) tuntap.Offload {
	t.Helper()
	if !testnet.Kernel(t, 6, 2) {
		return tuntap.Checksum | tuntap.TCP
	}
	return tuntap.Checksum | tuntap.TCP | tuntap.UDP
}

// super is a super-packet as kernels exchange them: its checksum field holds
// that of the pseudo header.
type super struct {
	header offload.Header
	packet []byte
	eth    bool
	typ    uint16 // ethertype
}

// newSuper returns a super-packet that is cut into segments of size bytes.
func newSuper(kind tuntap.Kind, version, protocol byte, payload, size int) super {
	ip := make([]byte, 20)
	typ := uint16(unix.ETH_P_IP)
	if version == 4 {
		ip[0], ip[8], ip[9] = 0x45, 64, protocol
		copy(ip[12:], []byte{192, 0, 2, 1, 192, 0, 2, 2})
	} else {
		ip = make([]byte, 40)
		ip[0], ip[6], ip[7] = 0x60, protocol, 64
		ip[8], ip[23], ip[24], ip[39] = 0xfd, 1, 0xfd, 2
		typ = unix.ETH_P_IPV6
	}
	transport := make([]byte, 20)
	h := offload.Header{Flags: offload.NeedsCsum, GSOSize: uint16(size), CsumOffset: 16}
	if protocol == unix.IPPROTO_TCP {
		transport[12], transport[13] = 0x50, 0x10 // no options, ACK
		h.GSOType = map[byte]uint8{4: offload.GSOTCPv4, 6: offload.GSOTCPv6}[version]
	} else {
		transport = transport[:8]
		h.GSOType, h.CsumOffset = offload.GSOUDPL4, 6
		binary.BigEndian.PutUint16(transport[4:], uint16(8+payload))
	}
	copy(transport, []byte{0x30, 0x39, 0x30, 0x3a}) // ports
	n := len(transport) + payload
	if version == 4 {
		binary.BigEndian.PutUint16(ip[2:], uint16(20+n))
		binary.BigEndian.PutUint16(ip[10:], packet.Checksum(ip, 0))
		binary.BigEndian.PutUint16(transport[h.CsumOffset:], ^packet.Checksum(nil, packet.PseudoHeader(ip[12:20], protocol, n)))
	} else {
		binary.BigEndian.PutUint16(ip[4:], uint16(n))
		binary.BigEndian.PutUint16(transport[h.CsumOffset:], ^packet.Checksum(nil, packet.PseudoHeader(ip[8:40], protocol, n)))
	}
	var p []byte
	if kind == tuntap.TAP {
		p = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, byte(typ >> 8), byte(typ)}
	}
	p = append(append(p, ip...), transport...)
	h.CsumStart, h.HdrLen = uint16(len(p)-len(transport)), uint16(len(p))
	for i := range payload {
		p = append(p, byte(i*7+i>>8))
	}
	return super{h, p, kind == tuntap.TAP, typ}
}

// bytes is the packet with its header in front.
func (s super) bytes() []byte {
	b := make([]byte, tuntap.VnetHdrSize)
	s.header.Encode(b)
	return append(b, s.packet...)
}

// cut returns the packets it is to become.
func (s super) cut(t testing.TB) (packets [][]byte) {
	t.Helper()
	var segments offload.Segments
	if fault := segments.Init(s.header, s.packet, s.eth); fault != offload.OK {
		t.Fatal(fault)
	}
	for range segments.Count() {
		p := make([]byte, segments.MaxLen())
		packets = append(packets, p[:segments.Next(p)])
	}
	return packets
}

// vnetSocket sends super-packets through an interface, as a TCP of the kernel
// does.
type vnetSocket struct {
	t  testing.TB
	fd int
	to unix.SockaddrLinklayer
}

func newVnetSocket(t testing.TB, ns *testnet.NS, name string) *vnetSocket {
	t.Helper()
	s := &vnetSocket{t: t, to: unix.SockaddrLinklayer{Ifindex: ns.Index(name)}}
	ns.Do(func() {
		var err error
		if s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { unix.Close(s.fd) })
	if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *vnetSocket) send(p super) {
	s.t.Helper()
	s.to.Protocol = p.typ>>8 | p.typ<<8
	if err := unix.Sendto(s.fd, p.bytes(), 0, &s.to); err != nil {
		s.t.Fatalf("send super-packet of %d bytes: %v", len(p.packet), err)
	}
}

// eachSuper runs f for TCP and UDP of both versions on both kinds of device.
func eachSuper(t *testing.T, f func(t *testing.T, kind tuntap.Kind, p super)) {
	for _, kind := range []tuntap.Kind{tuntap.TUN, tuntap.TAP} {
		for _, version := range []byte{4, 6} {
			for _, protocol := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
				if protocol == unix.IPPROTO_UDP && everything(t)&tuntap.UDP == 0 {
					continue
				}
				t.Run(fmt.Sprintf("%v, IPv%d, protocol %d", kind, version, protocol), func(t *testing.T) {
					f(t, kind, newSuper(kind, version, protocol, 20_001, 1400))
				})
			}
		}
	}
}

// A super-packet comes in one piece, with the header that says how to cut it;
// once the offload is taken back it comes as the packets that it is to become.
func TestSuperPacketsAreRead(t *testing.T) {
	eachSuper(t, func(t *testing.T, kind tuntap.Kind, p super) {
		ns := namespace(t)
		dev := open(t, ns, tuntap.Config{Name: "net0", Kind: kind, VnetHdr: true})
		socket := newVnetSocket(t, ns, "net0")
		buf := make([]byte, 1<<16+100)
		for range 2 {
			if err := dev.SetOffload(everything(t)); err != nil {
				t.Fatal(err)
			}
			socket.send(p)
			got := read(t, dev, buf)
			var h offload.Header
			h.Decode(got)
			h.HdrLen = p.header.HdrLen // a hint
			if h != p.header || !bytes.Equal(got[tuntap.VnetHdrSize:], p.packet) {
				t.Fatalf("read %d bytes with header %+v, want %d with %+v", len(got), h, len(p.packet), p.header)
			}

			if err := dev.SetOffload(0); err != nil {
				t.Fatal(err)
			}
			socket.send(p)
			for i, want := range p.cut(t) {
				got := read(t, dev, buf)
				h.Decode(got)
				if h.GSOType != offload.GSONone || h.Flags&offload.NeedsCsum != 0 || !bytes.Equal(got[tuntap.VnetHdrSize:], want) {
					t.Fatalf("without offload, packet %d: header %+v\n%x\nwant\n%x", i, h, got[tuntap.VnetHdrSize:], want)
				}
			}
		}
	})
}

// What the kernel does not know is refused and changes nothing.
func TestUnsupportedOffload(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "net0", VnetHdr: true})
	socket := newVnetSocket(t, ns, "net0")
	p := newSuper(tuntap.TUN, 4, unix.IPPROTO_TCP, 10_000, 1000)
	buf := make([]byte, 1<<16+100)
	if err := dev.SetOffload(tuntap.Checksum | tuntap.TCP); err != nil {
		t.Fatal(err)
	}
	for _, o := range []tuntap.Offload{everything(t) | 1<<30, tuntap.TCP, tuntap.UDP} { // the last two lack Checksum
		if err := dev.SetOffload(o); !errors.Is(err, errors.ErrUnsupported) || !errors.Is(err, unix.EINVAL) {
			t.Errorf("features %#x: error %v, want %v", o, err, errors.ErrUnsupported)
		}
		socket.send(p)
		if got := read(t, dev, buf); len(got) != tuntap.VnetHdrSize+len(p.packet) {
			t.Fatalf("after the refusal %d bytes were read: the offload of before is gone", len(got))
		}
	}
	dev.Close()
	if err := dev.SetOffload(0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v, want %v", err, os.ErrClosed)
	}
}

// A process that knows no offload takes over a device of one that did, and the
// other way round.
func TestAttachingChangesOffload(t *testing.T) {
	for _, multi := range []bool{false, true} {
		t.Run(fmt.Sprintf("multi-queue %v", multi), func(t *testing.T) {
			ns := namespace(t)
			p := newSuper(tuntap.TUN, 4, unix.IPPROTO_TCP, 10_000, 1000)
			buf := make([]byte, 1<<16+100)
			take := func(vnet bool, features tuntap.Offload) *tuntap.Device {
				t.Helper()
				dev := open(t, ns, tuntap.Config{Name: "net0", Attach: true, MultiQueue: multi, VnetHdr: vnet})
				if err := dev.SetPersist(true); err != nil {
					t.Fatal(err)
				}
				if err := dev.SetOffload(features); err != nil {
					t.Fatal(err)
				}
				return dev
			}
			for range 2 {
				dev := take(true, everything(t))
				socket := newVnetSocket(t, ns, "net0")
				socket.send(p)
				if got := read(t, dev, buf); len(got) != tuntap.VnetHdrSize+len(p.packet) {
					t.Fatalf("read %d bytes, want the super-packet", len(got))
				}
				dev.Close()

				dev = take(false, 0)
				if !dev.Attached() {
					t.Fatal("not attached")
				}
				socket.send(p)
				for i, want := range p.cut(t) {
					if got := read(t, dev, buf); !bytes.Equal(got, want) {
						t.Fatalf("packet %d of an attached device without offload is %x, want %x", i, got, want)
					}
				}
				dev.Close()
			}
			dev := take(false, 0)
			if err := dev.SetPersist(false); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// pieces cuts a packet into n parts, none empty.
func pieces(p []byte, n int) (parts [][]byte) {
	for ; n > 0; n-- {
		k := len(p) / n
		parts, p = append(parts, p[:k]), p[k:]
	}
	return parts
}

// A merged packet goes to the network as one, however many parts it is written
// in.
func TestWritev(t *testing.T) {
	eachSuper(t, func(t *testing.T, kind tuntap.Kind, p super) {
		ns := namespace(t)
		dev := open(t, ns, tuntap.Config{Name: "net0", Kind: kind, VnetHdr: true})
		if err := dev.SetOffload(everything(t)); err != nil {
			t.Fatal(err)
		}
		socket := ns.Packet(testnet.PacketConfig{Interface: "net0"})
		for _, n := range []int{1, 2, 3, 65, tuntap.MaxParts} {
			data := p.bytes()
			if wrote, err := dev.Writev(pieces(data, n)); wrote != len(data) || err != nil {
				t.Fatalf("%d parts: wrote %d of %d bytes: %v", n, wrote, len(data), err)
			}
			if got, err := socket.Recv(testnet.Patience); err != nil || !bytes.Equal(got, p.packet) {
				t.Fatalf("%d parts: received %d bytes, error %v, want %d bytes", n, len(got), err, len(p.packet))
			}
		}
	})
}

func TestWritevRefuses(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "net0", VnetHdr: true})
	p := newSuper(tuntap.TUN, 4, unix.IPPROTO_TCP, 3000, 1000)
	check := func(what string, parts [][]byte, want error) {
		t.Helper()
		if n, err := dev.Writev(parts); n != 0 || !errors.Is(err, want) {
			t.Errorf("%s: wrote %d bytes, error %v, want %v", what, n, err, want)
		}
	}
	check("no part", nil, unix.EINVAL)
	check("too many parts", slices.Repeat([][]byte{{1}}, tuntap.MaxParts+1), unix.EINVAL)
	check("less than a header", [][]byte{make([]byte, tuntap.VnetHdrSize-1)}, unix.EINVAL)
	unknown := p
	unknown.header.GSOType = 0x70
	check("an unknown type", pieces(unknown.bytes(), 2), unix.EINVAL)
	zero := p
	zero.header.GSOSize = 0
	check("segments of no bytes", pieces(zero.bytes(), 2), unix.EINVAL)

	h, i := ns.Link(), index(t, dev)
	if err := h.SetDown(i); err != nil {
		t.Fatal(err)
	}
	check("while down", pieces(p.bytes(), 2), tuntap.ErrDown)
	if err := h.SetUp(i); err != nil {
		t.Fatal(err)
	}
	if n, err := dev.Writev(pieces(p.bytes(), 2)); n != len(p.bytes()) || err != nil {
		t.Errorf("after all that: wrote %d bytes, error %v", n, err)
	}
	ns.MustRun("ip", "link", "delete", "net0")
	check("after the device was deleted", pieces(p.bytes(), 2), tuntap.ErrGone)
	dev.Close()
	check("after Close", pieces(p.bytes(), 2), os.ErrClosed)
}

func TestOffloadDoesNotAllocate(t *testing.T) {
	ns := namespace(t)
	dev := open(t, ns, tuntap.Config{Name: "net0", VnetHdr: true})
	if err := dev.SetOffload(everything(t)); err != nil {
		t.Fatal(err)
	}
	p := newSuper(tuntap.TUN, 4, unix.IPPROTO_TCP, 60_000, 1400)
	const runs = 50
	socket := newVnetSocket(t, ns, "net0")
	for range runs + 1 { // AllocsPerRun has one run more
		socket.send(p)
	}
	buf := make([]byte, 1<<16+100)
	bad := 0
	if n := testing.AllocsPerRun(runs, func() {
		if n, _, err := dev.Read(buf); n != tuntap.VnetHdrSize+len(p.packet) || err != nil {
			bad++
		}
	}); n != 0 || bad > 0 {
		t.Errorf("Read: %v allocations per super-packet, %d of them were none", n, bad)
	}
	parts := pieces(p.bytes(), 65)
	if n := testing.AllocsPerRun(runs, func() {
		if n, err := dev.Writev(parts); n != tuntap.VnetHdrSize+len(p.packet) || err != nil {
			bad++
		}
	}); n != 0 || bad > 0 {
		t.Errorf("Writev: %v allocations per super-packet, %d were refused", n, bad)
	}
}

func BenchmarkWritev64K(b *testing.B) {
	ns := namespace(b)
	dev := open(b, ns, tuntap.Config{Name: "net0", VnetHdr: true})
	if err := dev.SetOffload(everything(b)); err != nil {
		b.Fatal(err)
	}
	parts := pieces(newSuper(tuntap.TUN, 4, unix.IPPROTO_TCP, 62_000, 1448).bytes(), 44)
	b.SetBytes(62_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dev.Writev(parts); err != nil {
			b.Fatal(err)
		}
	}
}
