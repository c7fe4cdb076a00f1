package packet

import (
	"encoding/binary"
	"net/netip"
)

// MaxTooBig is the length of the longest packet TooBig writes, in bytes.
const MaxTooBig = minMTU6

const (
	maxError4 = 576 // RFC 1812 section 4.3.2.3
	icmpBytes = 8   // the header of an ICMP message of either version

	protocolICMP4 = 1
	protocolICMP6 = 58
	hopLimit      = 64
)

// TooBig writes into dst the ICMP error that tells the sender of p to send at
// most mtu bytes per packet, and returns its length. For IPv4 that is a
// "destination unreachable, fragmentation needed" (RFC 792, RFC 1191 section 4)
// of at most 576 bytes, for IPv6 a "packet too big" (RFC 4443 section 3.2) of
// at most 1280. It quotes as much of p as fits. Its source is the destination
// of p, because the sender certainly has a route to that address. mtu is a
// result of Limit, in bytes. dst must not overlap p; MaxTooBig bytes are
// enough.
//
// TooBig returns false and leaves dst unchanged if Check(p, mtu) is not Refuse,
// if mtu is below 68, or 1280 for IPv6, or if dst is too short. It also returns
// false if an ICMP error is not allowed:
//
//   - p is itself an ICMP error, or may be one: ICMP of an unknown type, or
//     with headers that cannot be parsed (RFC 1122 section 3.2.2, RFC 4443
//     section 2.4 (e.1), (e.2)).
//   - p is an IPv4 fragment other than the first (RFC 1122). IPv6 allows errors
//     about these, unless the fragment belongs to an ICMPv6 message.
//   - The source of p is not a single host: unspecified, loopback, multicast,
//     or for IPv4 also 240.0.0.0/4 (RFC 1122, RFC 4443 (e.6)).
//   - The destination of p must not be used as a source address: the same,
//     except that of 240.0.0.0/4 only the broadcast address is excluded. RFC
//     4443 (e.3) would allow an error about a multicast packet. But its source
//     would be a multicast address, which RFC 4291 section 2.7 forbids and
//     receivers drop, and there is no other address to send it from.
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
	binary.BigEndian.PutUint16(ip[6:], dontFragment) // never fragmented, so it needs no ID (RFC 6864 section 4.1)
	ip[8] = hopLimit
	ip[9] = protocolICMP4
	copy(ip[12:16], p[16:20])
	copy(ip[16:20], p[12:16])
	ip.setChecksum()

	icmp[0], icmp[1] = 3, 4
	binary.BigEndian.PutUint16(icmp[6:], uint16(mtu)) // fits: p is longer than mtu
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

// answerable4 reports whether an ICMP error may be sent about p.
func answerable4(p IPv4) bool {
	// Types that are not errors: echo, router discovery, timestamp,
	// information, mask and extended echo (RFC 8335).
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

// answerable6 reports whether an ICMPv6 error may be sent about p.
func answerable6(p IPv6) bool {
	const (
		firstHarmless = 128 // lower types are errors (RFC 4443 section 2.1)
		redirect      = 137 // counts as an error (section 2.4 (e.2))
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

// singleHost reports whether a may be the address of a single host, other than
// loopback.
func singleHost(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast()
}
