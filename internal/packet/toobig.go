package packet

import (
	"encoding/binary"
	"net/netip"
)

// MaxTooBig is the longest packet TooBig writes, in bytes.
const MaxTooBig = minMTU6

const (
	maxError4 = 576 // RFC 1812 section 4.3.2.3
	icmpBytes = 8   // the header of an ICMP message of either version

	protocolICMP4 = 1
	protocolICMP6 = 58
	hopLimit      = 64
)

// TooBig writes into dst what tells the sender of p to send at most mtu bytes at once, and returns its length: for IPv4 an ICMP
// destination unreachable, fragmentation needed (RFC 792, RFC 1191 section 4) of at most 576 bytes, for IPv6 an ICMPv6 packet too big
// (RFC 4443 section 3.2) of at most 1280. It quotes as much of p as fits. It comes from the destination of p, the only address at
// hand that the sender surely has a route for. mtu is a result of Limit, in bytes. dst must not overlap p; MaxTooBig bytes suffice.
//
// It is false, with dst unchanged, when there is nothing to say: Check(p, mtu) is not Refuse, mtu is below 68 or for IPv6 below 1280,
// or dst is too short. And it is false when nothing may be said:
//
//   - p is an ICMP error itself, or ICMP of a kind or with a header that cannot be read, so that it might be one (RFC 1122 section
//     3.2.2, RFC 4443 section 2.4 (e.1), (e.2));
//   - p is an IPv4 fragment but not the first (RFC 1122). For IPv6 that is no reason, unless it belongs to an ICMPv6 message;
//   - p comes from no single host: unspecified, loopback, multicast, for IPv4 also 240.0.0.0/4 (RFC 1122, RFC 4443 (e.6));
//   - p goes to an address that no packet may come from: the same, except for 240.0.0.0/4, of which only the broadcast address
//     is excluded. RFC 4443 (e.3) would allow an answer to a multicast packet; but it would have a multicast address as its source,
//     which RFC 4291 section 2.7 forbids and receivers throw away, and there is no other address to send it from.
func TooBig(dst, p []byte, mtu int) (int, bool) {
	if Check(p, mtu) != Refuse {
		return 0, false
	}
	if Version(p) == 4 {
		return tooBig4(dst, IPv4(p), mtu)
	}
	return tooBig6(dst, IPv6(p), mtu)
}

func tooBig4(dst []byte, p IPv4, mtu int) (int, bool) {
	n := min(minHeader4+icmpBytes+len(p), maxError4)
	if mtu < minMTU4 || len(dst) < n || !answerable4(p) {
		return 0, false
	}
	dst = dst[:n]
	ip, icmp := IPv4(dst), dst[minHeader4:]

	clear(dst[:minHeader4+icmpBytes])
	ip[0] = 4<<4 | minHeader4/4
	ip[1] = 0xc0 // precedence 6, internetwork control (RFC 1812 section 4.3.2.5)
	binary.BigEndian.PutUint16(ip[2:], uint16(n))
	binary.BigEndian.PutUint16(ip[6:], dontFragment) // never to be cut, hence without an id (RFC 6864 section 4.1)
	ip[8] = hopLimit
	ip[9] = protocolICMP4
	copy(ip[12:16], p[16:20])
	copy(ip[16:20], p[12:16])
	ip.setChecksum()

	icmp[0], icmp[1] = 3, 4
	binary.BigEndian.PutUint16(icmp[6:], uint16(mtu)) // below 65535, as p is longer than that
	copy(icmp[icmpBytes:], p)
	binary.BigEndian.PutUint16(icmp[2:], Checksum(icmp, 0))
	return n, true
}

func tooBig6(dst []byte, p IPv6, mtu int) (int, bool) {
	n := min(header6+icmpBytes+len(p), minMTU6)
	if mtu < minMTU6 || len(dst) < n || !answerable6(p) {
		return 0, false
	}
	dst = dst[:n]
	ip, icmp := IPv6(dst), dst[header6:]

	clear(dst[:header6+icmpBytes])
	ip[0] = 6 << 4
	binary.BigEndian.PutUint16(ip[4:], uint16(len(icmp)))
	ip[6] = protocolICMP6
	ip[7] = hopLimit
	copy(ip[8:24], p[24:40])
	copy(ip[24:40], p[8:24])

	icmp[0], icmp[1] = 2, 0
	binary.BigEndian.PutUint32(icmp[4:], uint32(mtu))
	copy(icmp[icmpBytes:], p)
	binary.BigEndian.PutUint16(icmp[2:], Checksum(icmp, PseudoHeader(ip[8:40], protocolICMP6, len(icmp))))
	return n, true
}

// answerable4 tells whether an ICMP error may be sent about p.
func answerable4(p IPv4) bool {
	// Requests and answers, which are no errors: echo, router discovery, timestamp, information, mask and extended echo (RFC 8335).
	const harmless = 1<<0 | 1<<8 | 1<<9 | 1<<10 | 1<<13 | 1<<14 | 1<<15 | 1<<16 | 1<<17 | 1<<18 | 1<<42 | 1<<43

	from, to := p.Source(), p.Destination()
	if p.Offset() != 0 || !singleHost(from) || !singleHost(to) || p[12] >= 240 || to == broadcast {
		return false
	}
	if p[9] != protocolICMP4 {
		return true
	}
	kind := p[p.HeaderLength()] // in bounds: p is longer than 68 bytes, its header at most 60
	return uint64(harmless)>>kind&1 != 0
}

// answerable6 tells whether an ICMPv6 error may be sent about p.
func answerable6(p IPv6) bool {
	const (
		firstHarmless = 128 // errors are below (RFC 4443 section 2.1)
		redirect      = 137 // counts as one (section 2.4 (e.2))
	)
	if !singleHost(p.Source()) || !singleHost(p.Destination()) {
		return false
	}
	protocol, message, ok := p.Transport()
	if !ok {
		return false
	}
	if protocol != protocolICMP6 {
		return true
	}
	return len(message) > 0 && message[0] >= firstHarmless && message[0] != redirect
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// singleHost tells whether a may be the address of one host, other than this one to itself.
func singleHost(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast()
}
