package offload

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// super returns a super-packet, the header a device would provide with it, and
// the offsets of its IP and transport headers. Fields that the segments replace
// are wrong in it.
func super(d segment, size int) (h Header, p []byte, ip, transport int) {
	p = d.build()
	if d.eth {
		ip = 14 + 4*len(d.tags)
	}
	transport = ip + 20 + len(d.extra)
	h = Header{Flags: NeedsCsum, GSOType: GSOTCPv4, GSOSize: uint16(size), HdrLen: uint16(len(p)), CsumOffset: 16}
	if d.v6 {
		transport += 20
		h.GSOType = GSOTCPv6
	} else {
		p[ip+10], p[ip+11] = 0xba, 0xad
	}
	if d.udp {
		h.GSOType, h.CsumOffset = GSOUDPL4, 6
	} else if d.flags&cwr != 0 {
		h.GSOType |= GSOECN
	}
	h.CsumStart = uint16(transport)
	p[transport+int(h.CsumOffset)], p[transport+int(h.CsumOffset)+1] = 0xba, 0xad
	return h, p, ip, transport
}

func TestSegmentsAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	type variant struct {
		name string
		segment
	}
	variants := []variant{
		{"tcp4", segment{flags: 0x10}},
		{"tcp4 psh fin cwr ece", segment{flags: 0xd9, word: dontFragment}},
		{"tcp4 options", segment{flags: 0x18, extra: []byte{0x94, 4, 0, 0}, options: bytesOf(12), bits: 0x0f}},
		{"tcp6", segment{v6: true, flags: 0x19, label: 0xabcde, tos: 0x2d, options: bytesOf(40)}},
		{"tcp6 extension headers", segment{v6: true, flags: 0x10, next: 0, extra: []byte{60, 0, 1, 4, 0, 0, 0, 0, 6, 1, 1, 12, 23: 0}}},
		{"tcp6 routing header with no segments left", segment{v6: true, flags: 0x10, next: 43, extra: []byte{6, 0, 4, 0, 0, 0, 0, 0}}},
		{"udp4", segment{udp: true, tos: 3}},
		{"udp6", segment{udp: true, v6: true}},
		{"eth tcp4", segment{eth: true, flags: 0x98}},
		{"eth udp6", segment{eth: true, udp: true, v6: true}},
		{"vlan tcp6", segment{eth: true, tags: []uint16{typeVLAN}, v6: true, flags: 0x19}},
		{"vlan 802.1ad tcp4", segment{eth: true, tags: []uint16{typeSVLAN}, flags: 0x10}},
	}
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 7, 536, 1447, 1448, 9000, 65535} {
				for _, length := range []int{0, 1, size - 1, size, size + 1, 2*size - 1, 2 * size, 5*size + 3, 65000} {
					if length > 65000 || length/size > 200 {
						continue
					}
					d := v.segment
					d.payload, d.id, d.seq = randomBytes(r, length), uint16(r.Uint32()), r.Uint32()
					d.from, d.to, d.ack, d.window = uint16(r.Uint32()), uint16(r.Uint32()), r.Uint32(), uint16(r.Uint32())
					if length%2 == 0 { // both wrap
						d.id, d.seq = 0xfffe, 0xfffffff0
					}
					compareSegments(t, d, size)
				}
			}
		})
	}
}

func compareSegments(t *testing.T, d segment, size int) {
	t.Helper()
	h, p, ip, transport := super(d, size)
	before := bytes.Clone(p)
	want := naiveSplit(p, ip, transport, d.udp, size)
	for _, flags := range []uint8{h.Flags, 0, DataValid | 0x80} {
		h.Flags = flags
		got, f := splitAll(h, p, d.eth)
		if f != OK || len(got) != len(want) {
			t.Fatalf("%d bytes by %d: %v, %d packets, want %d", len(d.payload), size, f, len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("%d bytes by %d: packet %d\n% x, want\n% x", len(d.payload), size, i, got[i], want[i])
			}
			if err := checkPacket(got[i], d.eth); err != nil {
				t.Fatalf("%d bytes by %d: packet %d: %v", len(d.payload), size, i, err)
			}
		}
	}
	if !bytes.Equal(p, before) {
		t.Fatal("the super-packet has changed")
	}
}

// A packet that is not split comes out unchanged, whatever it is.
func TestSegmentsWhole(t *testing.T) {
	for _, p := range [][]byte{{0}, bytesOf(13), bytesOf(1514), bytesOf(70000), segment{eth: true, padding: 12}.build()} {
		got, f := splitAll(Header{HdrLen: 9999, GSOSize: 1, Flags: DataValid}, p, true)
		if f != OK || len(got) != 1 || !bytes.Equal(got[0], p) {
			t.Errorf("%d bytes: %v, %d packets", len(p), f, len(got))
		}
	}
}

func TestSegmentsCompleteChecksum(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, d := range []segment{
		{flags: 0x12, options: bytesOf(20)}, {v6: true, flags: 0x10}, {udp: true}, {udp: true, v6: true},
		{eth: true, udp: true}, {eth: true, tags: []uint16{typeSVLAN, typeVLAN}, flags: 0x11},
		{v6: true, next: 0, extra: []byte{6, 0, 1, 4, 0, 0, 0, 0}, flags: 0x10},
	} {
		for length := range 300 {
			d.payload = randomBytes(r, length)
			want := d.build()
			h, p, ip, transport := super(d, 1)
			h.GSOType, h.GSOSize = GSONone, 0
			if !d.v6 { // the device never has to complete its header checksum
				copy(p[ip+10:ip+12], want[ip+10:])
			}
			protocol := byte(protocolTCP)
			if d.udp {
				protocol = protocolUDP
			}
			put16(p, transport+int(h.CsumOffset), uint16(pseudo(p[ip:], protocol, len(p)-transport)))
			got, f := splitAll(h, p, d.eth)
			if f != OK || len(got) != 1 || !bytes.Equal(got[0], want) {
				t.Fatalf("%+v: %v\n% x, want\n% x", d, f, got, want)
			}
		}
	}
}

// A UDP checksum of 0 is sent as 0xffff; a TCP checksum is not.
func TestSegmentsZeroChecksum(t *testing.T) {
	for _, udp := range []bool{true, false} {
		for _, size := range []int{0, 2} {
			d := segment{udp: udp, flags: 0x10, payload: []byte{0, 0}}
			p := d.build()
			at, want := 20+16, []byte{0, 0}
			if udp {
				at, want = 20+6, []byte{0xff, 0xff}
			}
			d.payload = bytes.Clone(p[at : at+2]) // makes the sum all ones
			h, p, ip, transport := super(d, size)
			if size == 0 {
				h.GSOType = GSONone
				protocol := byte(protocolTCP)
				if udp {
					protocol = protocolUDP
				}
				put16(p, at, uint16(pseudo(p[ip:], protocol, len(p)-transport)))
			}
			got, f := splitAll(h, p, false)
			if f != OK || len(got) != 1 || !bytes.Equal(got[0][at:at+2], want) {
				t.Errorf("udp %v, size %d: %v, % x, want % x", udp, size, f, got, want)
			}
		}
	}
}

func TestSegmentsFaults(t *testing.T) {
	tcp4 := segment{flags: 0x10, payload: bytesOf(100)}
	tcp6 := segment{v6: true, flags: 0x10, payload: bytesOf(100)}
	udp := segment{udp: true, payload: bytesOf(100)}
	withExtra := func(next byte, extra ...byte) segment {
		d := tcp6
		d.next, d.extra = next, extra
		return d
	}
	withFlags := func(flags byte) segment {
		d := tcp4
		d.flags = flags
		return d
	}
	tests := []struct {
		name   string
		d      segment
		change func(h *Header, p *[]byte)
		want   Fault
	}{
		{"nothing", tcp4, func(h *Header, p *[]byte) { *p = nil }, Empty},
		{"empty, not split", tcp4, func(h *Header, p *[]byte) { *p, *h = nil, Header{} }, Empty},
		{"UFO", udp, func(h *Header, p *[]byte) { h.GSOType = GSOUDP }, BadType},
		{"ECN of UDP", udp, func(h *Header, p *[]byte) { h.GSOType |= GSOECN }, BadType},
		{"ECN of nothing", tcp4, func(h *Header, p *[]byte) { h.GSOType = GSOECN }, BadType},
		{"unknown", tcp4, func(h *Header, p *[]byte) { h.GSOType = 2 }, BadType},
		{"tunnel", tcp4, func(h *Header, p *[]byte) { h.GSOType |= 0x20 }, BadType},
		{"size 0", tcp4, func(h *Header, p *[]byte) { h.GSOSize = 0 }, BadSize},
		{"other version", tcp6, func(h *Header, p *[]byte) { h.GSOType = GSOTCPv4 }, BadHeader},
		{"other version 4", tcp4, func(h *Header, p *[]byte) { h.GSOType = GSOTCPv6 }, BadHeader},
		{"other protocol", udp, func(h *Header, p *[]byte) { h.GSOType = GSOTCPv4 }, BadHeader},
		{"other protocol 6", tcp6, func(h *Header, p *[]byte) { h.GSOType = GSOUDPL4 }, BadHeader},
		{"version 5", tcp4, func(h *Header, p *[]byte) { (*p)[0] = 0x55 }, BadHeader},
		{"fragment", segment{flags: 0x10, word: 0x2000, payload: bytesOf(9)}, nil, BadHeader},
		{"last fragment", segment{flags: 0x10, word: 1, payload: bytesOf(9)}, nil, BadHeader},
		{"fragment header", withExtra(44, 6, 0, 0, 0, 0, 0, 0, 0), nil, BadHeader},
		{"authentication", withExtra(51, 6, 0, 0, 0, 0, 0, 0, 0), nil, BadHeader},
		{"segments left in routing header", withExtra(43, 6, 0, 4, 1, 0, 0, 0, 0), nil, BadHeader},
		{"headers too long", withExtra(60, append([]byte{6, 30}, make([]byte, 246)...)...), nil, BadHeader},
		{"extension header past the end", withExtra(60, 6, 255, 0, 0, 0, 0, 0, 0), nil, BadLength},
		{"extension header cut off", segment{v6: true}, func(h *Header, p *[]byte) {
			*p = (*p)[:44]
			(*p)[5], (*p)[6] = 4, 0
		}, BadLength},
		{"SYN", withFlags(0x12), nil, BadHeader},
		{"RST", withFlags(0x14), nil, BadHeader},
		{"URG", withFlags(0x30), nil, BadHeader},
		{"a byte missing", tcp4, func(h *Header, p *[]byte) { *p = (*p)[:len(*p)-1] }, BadLength},
		{"an extra byte", tcp6, func(h *Header, p *[]byte) { *p = append(*p, 0) }, BadLength},
		{"IPv4 cut off", tcp4, func(h *Header, p *[]byte) { *p = (*p)[:19] }, BadLength},
		{"IPv6 cut off", tcp6, func(h *Header, p *[]byte) { *p = (*p)[:39] }, BadLength},
		{"header length 16", tcp4, func(h *Header, p *[]byte) { (*p)[0] = 0x44 }, BadLength},
		{"header length 60 of 40", tcp4, func(h *Header, p *[]byte) { *p = (*p)[:40]; (*p)[0], (*p)[3] = 0x4f, 40 }, BadLength},
		{"TCP cut off", tcp4, func(h *Header, p *[]byte) { *p = (*p)[:39]; (*p)[3] = 39 }, BadLength},
		{"TCP header length 16", tcp4, func(h *Header, p *[]byte) { (*p)[32] = 0x40 }, BadLength},
		{"TCP options past the end", segment{flags: 0x10}, func(h *Header, p *[]byte) { (*p)[32] = 0xf0 }, BadLength},
		{"UDP cut off", segment{udp: true}, func(h *Header, p *[]byte) { *p = (*p)[:27]; (*p)[3] = 27 }, BadLength},
		{"checksum elsewhere", tcp4, func(h *Header, p *[]byte) { h.CsumStart += 20 }, BadChecksum},
		{"checksum of UDP", tcp4, func(h *Header, p *[]byte) { h.CsumOffset = 6 }, BadChecksum},
		{"whole, field past the end", tcp4, func(h *Header, p *[]byte) {
			h.GSOType, h.CsumStart = GSONone, uint16(len(*p)-17)
		}, BadChecksum},
		{"whole, field far past the end", tcp4, func(h *Header, p *[]byte) {
			h.GSOType, h.CsumStart, h.CsumOffset = GSONone, 0xffff, 0xffff
		}, BadChecksum},
		{"whole, field at 0", tcp4, func(h *Header, p *[]byte) { h.GSOType, h.CsumStart, h.CsumOffset = GSONone, 0, 0 }, BadChecksum},
		{"two tags", segment{eth: true, tags: []uint16{typeSVLAN, typeVLAN}, flags: 0x10}, nil, BadHeader},
		{"Ethernet alone", segment{eth: true}, func(h *Header, p *[]byte) { *p = (*p)[:14] }, BadHeader},
		{"tag alone", segment{eth: true, tags: []uint16{typeVLAN}}, func(h *Header, p *[]byte) { *p = (*p)[:18] }, BadHeader},
		{"tag cut off", segment{eth: true, tags: []uint16{typeVLAN}}, func(h *Header, p *[]byte) { *p = (*p)[:15] }, BadHeader},
		{"Ethernet type of the other version", segment{eth: true}, func(h *Header, p *[]byte) { (*p)[12], (*p)[13] = 0x86, 0xdd }, BadHeader},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			h, p, _, _ := super(c.d, 40)
			if c.change != nil {
				c.change(&h, &p)
			}
			var s Segments
			good, gp, _, _ := super(tcp4, 40)
			if f := s.Init(good, gp, false); f != OK { // state to forget
				t.Fatal(f)
			}
			if f := s.Init(h, p, c.d.eth); f != c.want {
				t.Errorf("%v, want %v", f, c.want)
			}
			if s.Count() != 0 || s.MaxLen() != 0 || s.Next(make([]byte, 100)) != 0 {
				t.Error("there are packets to write")
			}
		})
	}
}

// Memory after the packet is not written.
func TestSegmentsWriteNoMore(t *testing.T) {
	h, p, _, _ := super(segment{flags: 0x10, payload: bytesOf(1000)}, 300)
	var s Segments
	if f := s.Init(h, p, false); f != OK {
		t.Fatal(f)
	}
	if s.MaxLen() != 340 || s.Count() != 4 {
		t.Fatalf("%d packets of up to %d bytes", s.Count(), s.MaxLen())
	}
	for i, want := range []int{340, 340, 340, 140, 0, 0} {
		dst := bytes.Repeat([]byte{0xee}, 400)
		n := s.Next(dst)
		if n != want || !bytes.Equal(dst[n:], bytes.Repeat([]byte{0xee}, 400-n)) {
			t.Errorf("call %d: %d bytes, want %d: % x", i, n, want, dst[n:])
		}
	}
	if s.Count() != 4 {
		t.Errorf("%d packets at the end", s.Count())
	}
}

func ExampleSegments() {
	// TCP payload for two segments, as a TUN device delivers it.
	h, p, _, _ := super(segment{flags: 0x18, payload: make([]byte, 2000)}, 1448)
	var s Segments
	if f := s.Init(h, p, false); f != OK {
		fmt.Println("dropped:", f)
		return
	}
	element := make([]byte, s.MaxLen())
	for n := s.Next(element); n > 0; n = s.Next(element) {
		fmt.Println(n, "bytes")
	}
	// Output:
	// 1488 bytes
	// 592 bytes
}
