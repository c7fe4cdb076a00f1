package offload

import (
	"bytes"
	"fmt"
	"testing"
)

// stream returns n segments of a flow with size bytes of payload each.
func stream(d segment, n, size int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		d.payload = bytesOf(size + i)[i:]
		all[i] = d.build()
		d.seq += uint32(size)
		d.id++
	}
	return all
}

// merge adds packets until one does not fit and returns the number added.
func merge(b *Batch, all [][]byte, eth bool) int {
	b.Reset()
	for i, p := range all {
		if !b.Add(p, eth) {
			return i
		}
	}
	return len(all)
}

func TestBatchHeader(t *testing.T) {
	tests := []struct {
		name string
		segment
		want Header
	}{
		{"tcp4", segment{flags: 0x10, options: bytesOf(12)},
			Header{Flags: NeedsCsum, GSOType: GSOTCPv4, HdrLen: 52, GSOSize: 100, CsumStart: 20, CsumOffset: 16}},
		{"tcp6", segment{v6: true, flags: 0x10},
			Header{Flags: NeedsCsum, GSOType: GSOTCPv6, HdrLen: 60, GSOSize: 100, CsumStart: 40, CsumOffset: 16}},
		{"udp4", segment{udp: true},
			Header{Flags: NeedsCsum, GSOType: GSOUDPL4, HdrLen: 28, GSOSize: 100, CsumStart: 20, CsumOffset: 6}},
		{"udp6", segment{udp: true, v6: true, eth: true},
			Header{Flags: NeedsCsum, GSOType: GSOUDPL4, HdrLen: 62, GSOSize: 100, CsumStart: 54, CsumOffset: 6}},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			all := stream(c.segment, 5, 100)
			b := Batch{UDP: true}
			if n := merge(&b, all, c.eth); n != 5 {
				t.Fatalf("took %d", n)
			}
			h, p := joined(&b)
			if h != c.want {
				t.Errorf("header %+v, want %+v", h, c.want)
			}
			if b.Len() != 5 || b.Bytes() != len(p) || len(p) != len(all[0])+400 {
				t.Errorf("%d packets, %d bytes, in fact %d", b.Len(), b.Bytes(), len(p))
			}
			// With NeedsCsum the field holds the sum of the
			// pseudo-header, to which a device adds the rest.
			at := int(h.CsumStart)
			ip := 0
			if c.eth {
				ip = 14
			}
			protocol := byte(protocolTCP)
			if c.udp {
				protocol = protocolUDP
			}
			if got, want := uint64(be16(p, at+int(h.CsumOffset))), pseudo(p[ip:], protocol, len(p)-at); got != want {
				t.Errorf("checksum field %#x, want the pseudo-header sum %#x", got, want)
			}
			if !c.v6 && naiveSum(p[ip:ip+20], 0) != 0xffff {
				t.Error("IPv4 header checksum is bad")
			}
			seal(p[ip:], at-ip, protocol)
			if err := checkPacket(p, c.eth); err != nil {
				t.Errorf("super-packet: %v", err)
			}
		})
	}
}

// The second segment differs from the first in one way each.
func TestBatchRefuses(t *testing.T) {
	tcp4, tcp6 := segment{flags: 0x10, options: bytesOf(12)}, segment{v6: true, flags: 0x10, options: bytesOf(12)}
	udp, frame := segment{udp: true}, segment{eth: true, flags: 0x10}
	tests := []struct {
		name   string
		d      segment
		change func(d *segment)
	}{
		{"TOS", tcp4, func(d *segment) { d.tos = 1 }},
		{"TTL", tcp4, func(d *segment) { d.ttl = 63 }},
		{"DF", tcp4, func(d *segment) { d.word = dontFragment }},
		{"reserved bit", tcp4, func(d *segment) { d.word = 0x8000 }},
		{"fragment", tcp4, func(d *segment) { d.word = 0x2000 }},
		{"IP options", tcp4, func(d *segment) { d.extra = []byte{1, 1, 1, 1}; d.options = d.options[:8] }},
		{"same id", tcp4, func(d *segment) { d.id-- }},
		{"next id", tcp4, func(d *segment) { d.id++ }},
		{"id of UDP", udp, func(d *segment) { d.id-- }},
		{"traffic class", tcp6, func(d *segment) { d.tos = 1 }},
		{"hop limit", tcp6, func(d *segment) { d.ttl = 1 }},
		{"flow label", tcp6, func(d *segment) { d.label = 1 }},
		{"extension header", tcp6, func(d *segment) {
			d.next, d.extra, d.options = 60, []byte{6, 0, 1, 4, 0, 0, 0, 0}, d.options[:4]
		}},
		{"version", tcp6, func(d *segment) { d.v6 = false }},
		{"source port", tcp4, func(d *segment) { d.from++ }},
		{"destination port", udp, func(d *segment) { d.to++ }},
		{"protocol", tcp4, func(d *segment) { d.udp = true }},
		{"missing segment", tcp4, func(d *segment) { d.seq += 100 }},
		{"repeated segment", tcp6, func(d *segment) { d.seq -= 100 }},
		{"acknowledgement", tcp4, func(d *segment) { d.ack++ }},
		{"window", tcp6, func(d *segment) { d.window++ }},
		{"urgent pointer", tcp6, func(d *segment) { d.urgent++ }},
		{"URG", tcp6, func(d *segment) { d.flags |= urg }},
		{"SYN", tcp6, func(d *segment) { d.flags |= syn }},
		{"RST", tcp6, func(d *segment) { d.flags |= rst }},
		{"CWR", tcp6, func(d *segment) { d.flags |= cwr }},
		{"ECE", tcp6, func(d *segment) { d.flags |= 0x40 }},
		{"ACK", tcp6, func(d *segment) { d.flags = 0 }},
		{"reserved flags", tcp6, func(d *segment) { d.bits = 1 }},
		{"option", tcp4, func(d *segment) { d.options = append(bytesOf(11), 0xee) }},
		{"fewer options", tcp4, func(d *segment) { d.options = bytesOf(8) }},
		{"more options", tcp4, func(d *segment) { d.options = bytesOf(16) }},
		{"longer", tcp4, func(d *segment) { d.payload = bytesOf(101) }},
		{"longer UDP", udp, func(d *segment) { d.payload = bytesOf(101) }},
		{"empty", tcp4, func(d *segment) { d.payload = nil }},
		{"tag", frame, func(d *segment) { d.tags = []uint16{typeVLAN} }},
		{"padding", frame, func(d *segment) { d.payload = bytesOf(99); d.padding = 1 }},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			second := c.d
			second.id, second.seq, second.payload = 1, 100, bytesOf(100)
			same := second
			c.change(&second)
			c.d.payload = bytesOf(100)
			first, good, bad := c.d.build(), same.build(), second.build()
			b := Batch{UDP: true}
			if n := merge(&b, [][]byte{first, good}, c.d.eth); n != 2 {
				t.Fatalf("without the difference it took %d", n)
			}
			if n := merge(&b, [][]byte{first, bad}, c.d.eth); n != 1 {
				t.Fatalf("%d added", n)
			}
			if h, p := joined(&b); h != (Header{}) || !bytes.Equal(p, first) {
				t.Errorf("the first packet became %+v % x", h, p)
			}
			if n := merge(&b, [][]byte{first, good, bad}, c.d.eth); n != 2 {
				t.Errorf("after two it took %d", n)
			}
		})
	}
}

// Packets that cannot be merged are accepted alone, and a second identical one
// is not.
func TestBatchAlone(t *testing.T) {
	payload := bytesOf(100)
	tests := []struct {
		name   string
		d      segment
		change func(p []byte) []byte
	}{
		{name: "SYN", d: segment{flags: 0x12, payload: payload}},
		{name: "RST", d: segment{flags: 0x14, payload: payload}},
		{name: "URG", d: segment{flags: 0x30, payload: payload}},
		{name: "CWR", d: segment{flags: 0x90, payload: payload}},
		{name: "PSH", d: segment{flags: 0x18, payload: payload}},
		{name: "FIN", d: segment{flags: 0x11, payload: payload}},
		{name: "no payload", d: segment{flags: 0x10}},
		{name: "IP options", d: segment{flags: 0x10, extra: []byte{1, 1, 1, 1}, payload: payload}},
		{name: "extension header", d: segment{v6: true, flags: 0x10, next: 60, extra: []byte{6, 0, 1, 4, 0, 0, 0, 0}, payload: payload}},
		{name: "fragment", d: segment{flags: 0x10, word: 0x2000, payload: payload}},
		{name: "last fragment", d: segment{flags: 0x10, word: 7, payload: payload}},
		{name: "tag", d: segment{eth: true, tags: []uint16{typeVLAN}, flags: 0x10, payload: payload}},
		{name: "two tags", d: segment{eth: true, tags: []uint16{typeSVLAN, typeVLAN}, flags: 0x10, payload: payload}},
		{name: "padded", d: segment{eth: true, flags: 0x10, payload: payload, padding: 3}},
		{name: "padded to 60", d: segment{eth: true, flags: 0x10, payload: payload[:1], padding: 5}},
		{name: "UDP without payload", d: segment{udp: true}},
		{"UDP without checksum", segment{udp: true, payload: payload}, func(p []byte) []byte { p[26], p[27] = 0, 0; return p }},
		{"UDP length", segment{udp: true, payload: payload}, func(p []byte) []byte { p[25]--; return p }},
		{"TCP checksum", segment{flags: 0x10, payload: payload}, func(p []byte) []byte { p[37]++; return p }},
		{"header checksum", segment{flags: 0x10, payload: payload}, func(p []byte) []byte { p[11]++; return p }},
		{"total length", segment{flags: 0x10, payload: payload}, func(p []byte) []byte { p[3]--; return p }},
		{"payload length", segment{v6: true, flags: 0x10, payload: payload}, func(p []byte) []byte { p[5]++; return p }},
		{"header length", segment{flags: 0x10, payload: payload}, func(p []byte) []byte { p[32] = 0x40; return p }},
		{"header past the end", segment{flags: 0x10, payload: payload[:4]}, func(p []byte) []byte { p[32] = 0xf0; return p }},
		{"ICMP", segment{flags: 0x10, payload: payload}, func(p []byte) []byte { p[9] = 1; return p }},
		{"version", segment{flags: 0x10, payload: payload}, func(p []byte) []byte { p[0] = 0x55; return p }},
		{"Ethernet type", segment{eth: true, flags: 0x10, payload: payload}, func(p []byte) []byte { p[13] = 6; return p }},
		{"cut off", segment{flags: 0x10}, func(p []byte) []byte { return p[:19] }},
		{"IPv6 cut off", segment{v6: true}, func(p []byte) []byte { return p[:39] }},
		{"nothing", segment{}, func(p []byte) []byte { return nil }},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			p := c.d.build()
			c.d.seq, c.d.id = uint32(len(c.d.payload)), 1
			next := c.d.build()
			if c.change != nil {
				p, next = c.change(p), c.change(next)
			}
			before := bytes.Clone(p)
			b := Batch{UDP: true}
			if n := merge(&b, [][]byte{p, next}, c.d.eth); n != 1 {
				t.Fatalf("it took %d", n)
			}
			h, parts := b.Finish()
			if h != (Header{}) || len(parts) != 1 || !bytes.Equal(parts[0], before) || b.Bytes() != len(p) {
				t.Errorf("became %+v %x", h, parts)
			}
		})
	}
}

func TestBatchUDPOnlyWhenAsked(t *testing.T) {
	all := stream(segment{udp: true}, 3, 100)
	if n := merge(&Batch{}, all, false); n != 1 {
		t.Errorf("took %d", n)
	}
}

// Checksums that are correct, but not the ones Segments would write: ones'
// complement has two zeros, and for UDP one of them means no checksum.
func TestBatchOtherZero(t *testing.T) {
	tcp := segment{flags: 0x10, payload: []byte{0, 0}}
	udp := segment{udp: true, payload: []byte{0, 0}}
	header := segment{flags: 0x10, payload: []byte{0, 0}}
	// The difference to all ones goes into the payload, or the ID.
	tcp.payload = bytes.Clone(tcp.build()[36:38])
	udp.payload = bytes.Clone(udp.build()[26:28])
	header.id = be16(header.build(), 10)
	for _, c := range []struct {
		name         string
		d            segment
		at           int
		usual, other uint16
	}{
		{"TCP", tcp, 36, 0, 0xffff},
		{"UDP", udp, 26, 0xffff, 0},
		{"IPv4", header, 10, 0, 0xffff},
	} {
		p := c.d.build()
		if got := be16(p, c.at); got != c.usual {
			t.Fatalf("%s: checksum %#x, want %#x", c.name, got, c.usual)
		}
		c.d.id++
		c.d.seq += 2
		next := c.d.build()
		b := Batch{UDP: true}
		if n := merge(&b, [][]byte{p, next}, false); n != 2 {
			t.Errorf("%s: with %#x it took %d", c.name, c.usual, n)
		}
		put16(p, c.at, c.other)
		if n := merge(&b, [][]byte{p, next}, false); n != 1 {
			t.Errorf("%s: with %#x it took %d", c.name, c.other, n)
		}
	}
}

// TCP options that look like a UDP header covering the rest.
func TestBatchOptionsLikeUDP(t *testing.T) {
	all := stream(segment{udp: true}, 2, 100)
	for _, p := range all {
		p[0], p[10], p[11] = 0x47, 0, 0
		put16(p, 10, ^uint16(naiveSum(p[:20], 0)))
	}
	if n := merge(&Batch{UDP: true}, all, false); n != 1 {
		t.Errorf("took %d", n)
	}
}

func TestBatchEnds(t *testing.T) {
	for _, flags := range []byte{0x18, 0x11, 0x19} {
		all := stream(segment{v6: true, flags: 0x10}, 4, 100)
		all[2][53] = flags
		seal(all[2], 40, protocolTCP)
		var b Batch
		if n := merge(&b, all, false); n != 3 {
			t.Fatalf("flags %#x: took %d, want 3", flags, n)
		}
		_, p := joined(&b)
		if p[53] != flags {
			t.Errorf("flags of the super-packet %#x, want %#x", p[53], flags)
		}
	}
	all := stream(segment{flags: 0x10}, 4, 100)
	d := segment{flags: 0x10, seq: 200, id: 2, payload: bytesOf(37)}
	all[2] = d.build()
	d = segment{flags: 0x10, seq: 237, id: 3, payload: bytesOf(37)}
	all[3] = d.build()
	if n := merge(&Batch{}, all, false); n != 3 {
		t.Errorf("with a shorter one it took %d, want 3", n)
	}
}

func TestBatchLimits(t *testing.T) {
	for _, c := range []struct {
		d          segment
		size, want int
	}{
		{segment{flags: 0x10}, 1, MaxBatch},
		{segment{flags: 0x10}, 1448, 45},
		{segment{v6: true, flags: 0x10}, 65495, 1}, // the length must not wrap
		{segment{flags: 0x10}, 65495 / 5, 5},       // 65535 bytes, not one more
		{segment{eth: true, flags: 0x10}, 65495 / 5, 5},
		{segment{flags: 0x10}, 65495/5 + 1, 4},
		{segment{udp: true}, 1472, 44},
	} {
		b := Batch{UDP: true}
		all := stream(c.d, 70, c.size)
		if n := merge(&b, all, c.d.eth); n != c.want {
			t.Errorf("of %d bytes each it took %d, want %d", c.size, n, c.want)
		}
		h, p := joined(&b)
		back, f := splitAll(h, p, c.d.eth)
		if f != OK || len(back) != c.want {
			t.Errorf("of %d bytes each: %v, %d packets back", c.size, f, len(back))
		}
	}
}

// Merging does not change the packets added, so they can be written instead.
func TestBatchLeavesPackets(t *testing.T) {
	all := stream(segment{flags: 0x10}, 10, 500)
	before := make([][]byte, len(all))
	for i := range all {
		before[i] = bytes.Clone(all[i])
	}
	var b Batch
	merge(&b, all, false)
	b.Finish()
	for i, p := range b.Packets() {
		if !bytes.Equal(p, before[i]) {
			t.Errorf("packet %d has changed", i)
		}
	}
	if len(b.Packets()) != 10 {
		t.Errorf("%d packets", len(b.Packets()))
	}
	b.Reset()
	if h, parts := b.Finish(); h != (Header{}) || len(parts) != 0 || b.Len() != 0 || b.Bytes() != 0 {
		t.Errorf("after Reset: %+v, %d parts", h, len(parts))
	}
}

func TestBatchOfBothKinds(t *testing.T) {
	// The same bytes are a different packet after an Ethernet header.
	all := stream(segment{flags: 0x10}, 2, 100)
	var b Batch
	if !b.Add(all[0], false) || b.Add(all[1], true) {
		t.Error("a frame continued a packet")
	}
}

func ExampleBatch() {
	var b Batch
	write := func() {
		h, parts := b.Finish()
		fmt.Printf("%d packets in %d parts, %d bytes, cut by %d\n", b.Len(), len(parts), b.Bytes(), h.GSOSize)
		b.Reset()
	}
	for _, p := range append(stream(segment{flags: 0x10}, 3, 1448), stream(segment{v6: true, flags: 0x10}, 1, 99)...) {
		if !b.Add(p, false) {
			write()
			b.Add(p, false)
		}
	}
	write()
	// Output:
	// 3 packets in 4 parts, 4384 bytes, cut by 1448
	// 1 packets in 1 parts, 159 bytes, cut by 0
}
