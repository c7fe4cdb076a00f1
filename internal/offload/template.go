package offload

import (
	"github.com/muennet/muennet/internal/checksum"
	"github.com/muennet/muennet/internal/packet"
)

// template holds the headers of a super-packet and what changes in them with
// each segment:
//
//	Ethernet, VLAN   none
//	IPv4             total length, ID (incremented), header checksum
//	IPv6             payload length
//	TCP              sequence number, checksum; CWR in the first only, FIN and PSH in the last only (RFC 3168 section 6.1.2)
//	UDP              length, checksum
//
// The precomputed sums exclude these fields, so that the checksums of a segment
// only need its own numbers and payload added.
type template struct {
	ip, transport, headers int // offsets of the IP header, the TCP or UDP header and the payload
	ipv4, tcp              bool

	id                  uint16
	seq                 uint32
	flags, first, last  byte   // TCP flags of every segment, and those added to the first and the last
	ipSum, transportSum uint32 // transportSum includes the pseudo-header

	header [maxHeaders]byte
}

// find sets the offsets of the headers of p, given its IP header. tcp must be
// set.
func (t *template) find(p []byte, ip int, version byte) Fault {
	t.ip, t.ipv4 = ip, version == 4
	protocol := byte(protocolUDP)
	if t.tcp {
		protocol = protocolTCP
	}
	f := OK
	if t.ipv4 {
		f = t.findBehind4(p, protocol)
	} else {
		f = t.findBehind6(p, protocol)
	}
	if f != OK {
		return f
	}
	return t.findPayload(p)
}

// findBehind4 finds the header after an IPv4 header.
func (t *template) findBehind4(p []byte, protocol byte) Fault {
	h := p[t.ip:]
	length := int(h[0]&0x0f) * 4
	switch {
	case length < ip4Header, length > len(h), int(be16(h, ip4Length)) != len(h):
		return BadLength
	case be16(h, ip4Fragment)&moreAndOffset != 0, h[ip4Protocol] != protocol:
		return BadHeader
	}
	t.transport = t.ip + length
	return OK
}

// findBehind6 finds the header after an IPv6 header and those extension headers
// that every segment may repeat.
func (t *template) findBehind6(p []byte, protocol byte) Fault {
	h := p[t.ip:]
	if len(h) < ip6Header || int(be16(h, ip6Length)) != len(h)-ip6Header {
		return BadLength
	}
	at, next := ip6Header, h[ip6Next]
	for next != protocol {
		const hopByHop, routing, destination = 0, 43, 60
		if next != hopByHop && next != routing && next != destination {
			return BadHeader
		}
		if len(h) < at+8 {
			return BadLength
		}
		if next == routing && h[at+3] != 0 { // segments left: the pseudo-header uses another destination
			return BadHeader
		}
		next, at = h[at], at+8+int(h[at+1])*8
	}
	t.transport = t.ip + at
	return OK
}

// findPayload finds the payload after the TCP or UDP header.
func (t *template) findPayload(p []byte) Fault {
	t.headers = t.transport + udpHeader
	if t.tcp {
		if len(p) < t.transport+tcpHeader {
			return BadLength
		}
		h := p[t.transport:]
		length := int(h[tcpOffset]>>4) * 4
		if length < tcpHeader {
			return BadLength
		}
		if h[tcpFlags]&(syn|rst|urg) != 0 {
			return BadHeader
		}
		t.headers = t.transport + length
	}
	switch {
	case t.headers > len(p):
		return BadLength
	case t.headers > maxHeaders:
		return BadHeader
	}
	return OK
}

// prepare copies the headers of p and computes the sums of their constant part.
func (t *template) prepare(p []byte) {
	header := t.header[:copy(t.header[:], p[:t.headers])]
	ip, transport := header[t.ip:t.transport], header[t.transport:]
	protocol := byte(protocolUDP)
	var addresses []byte
	if !t.ipv4 {
		addresses = ip[ip6Addresses:ip6Header]
	} else {
		addresses = ip[ip4Addresses:ip4Header]
		t.id = be16(ip, ip4ID)
		put16(ip, ip4Length, 0)
		put16(ip, ip4ID, 0)
		put16(ip, ip4Check, 0)
		t.ipSum = checksum.Sum(ip, 0)
	}
	if t.tcp {
		protocol = protocolTCP
		t.seq = be32(transport, tcpSeq)
		all := transport[tcpFlags]
		t.flags, t.first, t.last = all&^(cwr|fin|psh), all&cwr, all&(fin|psh)
		put32(transport, tcpSeq, 0)
		transport[tcpFlags] = 0
		put16(transport, tcpCheck, 0)
	} else {
		put16(transport, udpLength, 0)
		put16(transport, udpCheck, 0)
	}
	t.transportSum = checksum.Sum(transport, packet.PseudoHeader(addresses, protocol, 0))
}

// fill sets the headers for a segment whose payload has this length in bytes
// and this sum, and advances to the next.
func (t *template) fill(length int, sum uint32, first, last bool) {
	ip, transport := t.header[t.ip:], t.header[t.transport:]
	if t.ipv4 {
		n := uint16(t.headers - t.ip + length)
		put16(ip, ip4Length, n)
		put16(ip, ip4ID, t.id)
		put16(ip, ip4Check, ^fold(t.ipSum+uint32(n)+uint32(t.id)))
		t.id++
	} else {
		put16(ip, ip6Length, uint16(t.headers-t.ip-ip6Header+length))
	}
	n := uint32(t.headers - t.transport + length)
	total := t.transportSum + n + sum
	if !t.tcp {
		put16(transport, udpLength, uint16(n))
		v := ^fold(total + n)
		if v == 0 {
			v = 0xffff // 0 would mean no checksum (RFC 768)
		}
		put16(transport, udpCheck, v)
		return
	}
	flags := t.flags
	if first {
		flags |= t.first
	}
	if last {
		flags |= t.last
	}
	transport[tcpFlags] = flags
	put32(transport, tcpSeq, t.seq)
	put16(transport, tcpCheck, ^fold(total+uint32(flags)+t.seq>>16+t.seq&0xffff))
	t.seq += uint32(length)
}
