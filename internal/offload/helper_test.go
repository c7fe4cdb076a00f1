package offload

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// naiveSum is the sum of RFC 1071 section 1: 16 bits at a time, in a number too
// wide to overflow.
func naiveSum(b []byte, initial uint64) uint64 {
	for i, v := range b {
		if i%2 == 0 {
			initial += uint64(v) << 8
		} else {
			initial += uint64(v)
		}
	}
	for initial > 0xffff {
		initial = initial>>16 + initial&0xffff
	}
	return initial
}

// segment describes a packet to build; zero fields get ordinary values.
type segment struct {
	eth, v6, udp bool
	tags         []uint16 // Ethernet types of VLAN tags
	tos, ttl     byte
	id, word     uint16
	label        uint32
	extra        []byte // IPv4 options, or IPv6 extension headers
	next         byte   // IPv6: the type of the first
	from, to     uint16
	seq, ack     uint32
	bits, flags  byte // bits: the reserved ones
	window       uint16
	urgent       uint16
	options      []byte
	payload      []byte
	padding      int
}

// build returns the packet with correct checksums.
func (d segment) build() []byte {
	var transport []byte
	protocol := byte(protocolTCP)
	if d.udp {
		protocol = protocolUDP
		transport = binary.BigEndian.AppendUint16(nil, d.from)
		transport = binary.BigEndian.AppendUint16(transport, d.to)
		transport = binary.BigEndian.AppendUint16(transport, uint16(8+len(d.payload)))
		transport = append(transport, 0, 0)
	} else {
		transport = binary.BigEndian.AppendUint16(nil, d.from)
		transport = binary.BigEndian.AppendUint16(transport, d.to)
		transport = binary.BigEndian.AppendUint32(transport, d.seq)
		transport = binary.BigEndian.AppendUint32(transport, d.ack)
		transport = append(transport, byte(20+len(d.options))<<2|d.bits, d.flags)
		transport = binary.BigEndian.AppendUint16(transport, d.window)
		transport = append(transport, 0, 0, byte(d.urgent>>8), byte(d.urgent))
		transport = append(transport, d.options...)
	}
	transport = append(transport, d.payload...)
	if d.ttl == 0 {
		d.ttl = 64
	}
	var p []byte
	if d.v6 {
		p = binary.BigEndian.AppendUint32(nil, 6<<28|uint32(d.tos)<<20|d.label)
		p = binary.BigEndian.AppendUint16(p, uint16(len(d.extra)+len(transport)))
		p = append(p, protocol, d.ttl)
		if len(d.extra) > 0 {
			p[6] = d.next
		}
		p = append(p, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2)
	} else {
		p = []byte{0x40 | byte(20+len(d.extra))/4, d.tos}
		p = binary.BigEndian.AppendUint16(p, uint16(20+len(d.extra)+len(transport)))
		p = binary.BigEndian.AppendUint16(p, d.id)
		p = binary.BigEndian.AppendUint16(p, d.word)
		p = append(p, d.ttl, protocol, 0, 0, 192, 168, 1, 1, 10, 9, 0, 1)
	}
	p = append(p, d.extra...)
	p = append(p, transport...)
	seal(p, len(p)-len(transport), protocol)
	if !d.eth {
		return p
	}
	frame := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	for i, tag := range d.tags {
		frame = append(binary.BigEndian.AppendUint16(frame, tag), 0, byte(i+5))
	}
	if d.v6 {
		frame = append(frame, 0x86, 0xdd)
	} else {
		frame = append(frame, 0x08, 0x00)
	}
	return append(append(frame, p...), make([]byte, d.padding)...)
}

// pseudo returns the naive sum of the pseudo-header of the IP packet p.
func pseudo(p []byte, protocol byte, length int) uint64 {
	addresses := p[12:20]
	if p[0]>>4 == 6 {
		addresses = p[8:40]
	}
	return naiveSum(addresses, uint64(protocol)+uint64(length))
}

// seal sets the checksums of the IP packet p, whose TCP or UDP header is at
// transport.
func seal(p []byte, transport int, protocol byte) {
	if p[0]>>4 == 4 {
		p[10], p[11] = 0, 0
		binary.BigEndian.PutUint16(p[10:], ^uint16(naiveSum(p[:int(p[0]&15)*4], 0)))
	}
	h, at := p[transport:], 16
	if protocol == protocolUDP {
		at = 6
	}
	h[at], h[at+1] = 0, 0
	v := ^uint16(naiveSum(h, pseudo(p, protocol, len(h))))
	if v == 0 && protocol == protocolUDP {
		v = 0xffff
	}
	binary.BigEndian.PutUint16(h[at:], v)
}

// checkPacket verifies what a receiver verifies: lengths, header checksum, and
// TCP or UDP checksum. It shares no code with the package.
func checkPacket(p []byte, eth bool) error {
	if eth {
		at := 12
		for len(p) >= at+2 && (p[at] == 0x81 && p[at+1] == 0 || p[at] == 0x88 && p[at+1] == 0xa8) {
			at += 4
		}
		if len(p) < at+2 {
			return fmt.Errorf("frame of %d bytes", len(p))
		}
		p = p[at+2:]
	}
	if len(p) < 20 {
		return fmt.Errorf("%d bytes", len(p))
	}
	var protocol byte
	var at int
	switch p[0] >> 4 {
	case 4:
		if n := int(p[2])<<8 | int(p[3]); n != len(p) {
			return fmt.Errorf("total length %d of %d", n, len(p))
		}
		at, protocol = int(p[0]&15)*4, p[9]
		if v := naiveSum(p[:at], 0); v != 0xffff {
			return fmt.Errorf("header checksum: sum %#x", v)
		}
	case 6:
		if n := int(p[4])<<8 | int(p[5]); n+40 != len(p) {
			return fmt.Errorf("payload length %d of %d", n, len(p)-40)
		}
		at, protocol = 40, p[6]
		for protocol == 0 || protocol == 43 || protocol == 60 {
			protocol, at = p[at], at+8*(1+int(p[at+1]))
		}
	default:
		return fmt.Errorf("version %d", p[0]>>4)
	}
	if protocol == 17 {
		if n := int(p[at+4])<<8 | int(p[at+5]); n != len(p)-at {
			return fmt.Errorf("UDP length %d of %d", n, len(p)-at)
		}
		if p[at+6] == 0 && p[at+7] == 0 {
			return fmt.Errorf("no UDP checksum")
		}
	}
	if v := naiveSum(p[at:], pseudo(p, protocol, len(p)-at)); v != 0xffff {
		return fmt.Errorf("checksum of protocol %d: sum %#x", protocol, v)
	}
	return nil
}

// bytesOf returns n bytes in which misplaced bytes are detected.
func bytesOf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(7*i + i>>8)
	}
	return b
}

// randomBytes returns n random bytes.
func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// splitAll returns copies of all packets of s.
func splitAll(h Header, p []byte, eth bool) ([][]byte, Fault) {
	var s Segments
	if f := s.Init(h, p, eth); f != OK {
		return nil, f
	}
	var all [][]byte
	dst := make([]byte, s.MaxLen())
	for n := s.Next(dst); n > 0; n = s.Next(dst) {
		all = append(all, append([]byte{}, dst[:n]...))
	}
	if len(all) != s.Count() {
		panic(fmt.Sprintf("%d packets, Count says %d", len(all), s.Count()))
	}
	return all, OK
}

// joined returns what the device would get from Finish.
func joined(b *Batch) (Header, []byte) {
	h, parts := b.Finish()
	var p []byte
	for _, part := range parts {
		p = append(p, part...)
	}
	return h, p
}
