package offload

import (
	"github.com/muennet/muennet/internal/checksum"
	"github.com/muennet/muennet/internal/packet"
)

// flow is what all packets of a super-packet have in common.
type flow struct {
	eth, ipv4, tcp         bool
	ip, transport, headers int // offsets of the IP header, the TCP or UDP header and the payload
	pseudo                 uint32
}

// set parses the headers of p. It returns false if p cannot be merged: if
// Segments could not restore it byte for byte, or if its headers mean more to
// the receiver than the payload. It does not verify checksums.
func (f *flow) set(p []byte, eth, udp bool) bool {
	ip, version := network(p, eth)
	if version == 0 || ip == vlanHeader {
		return false
	}
	h := p[ip:]
	var protocol byte
	var addresses []byte
	if f.ipv4 = version == 4; f.ipv4 {
		// A length below that of the frame means padding. A fragment
		// has no ports.
		if len(h) < ip4Header || h[0] != 0x45 || int(be16(h, ip4Length)) != len(h) || be16(h, ip4Fragment)&^dontFragment != 0 {
			return false
		}
		protocol, addresses = h[ip4Protocol], h[ip4Addresses:ip4Header]
		f.transport = ip + ip4Header
	} else {
		if len(h) < ip6Header || int(be16(h, ip6Length)) != len(h)-ip6Header {
			return false
		}
		protocol, addresses = h[ip6Next], h[ip6Addresses:ip6Header]
		f.transport = ip + ip6Header
	}
	f.eth, f.ip = eth, ip
	h = p[f.transport:]
	switch {
	case protocol == protocolTCP && len(h) > tcpHeader:
		length := int(h[tcpOffset]>>4) * 4
		if length < tcpHeader || h[tcpFlags]&(syn|rst|urg|cwr) != 0 {
			return false
		}
		f.tcp, f.headers = true, f.transport+length
	case protocol == protocolUDP && udp && len(h) > udpHeader:
		if int(be16(h, udpLength)) != len(h) {
			return false
		}
		f.tcp, f.headers = false, f.transport+udpHeader
	default:
		return false
	}
	f.pseudo = packet.PseudoHeader(addresses, protocol, 0)
	return f.headers < len(p)
}

// continues reports whether p has the same headers as first, apart from
// lengths, sequence number, PSH, FIN and checksums, and has the given sequence
// number and IPv4 ID. p must be longer than the headers.
func (f *flow) continues(first, p []byte, seq uint32, id uint16) bool {
	if f.eth && string(p[:ethHeader]) != string(first[:ethHeader]) {
		return false
	}
	a, b := first[f.ip:f.headers], p[f.ip:f.headers]
	length := len(p) - f.ip
	if f.ipv4 {
		if be16(a, 0) != be16(b, 0) || int(be16(b, ip4Length)) != length || be16(b, ip4ID) != id ||
			be32(a, ip4Fragment) != be32(b, ip4Fragment) || // including TTL and protocol
			string(a[ip4Addresses:ip4Header]) != string(b[ip4Addresses:ip4Header]) {
			return false
		}
	} else if be32(a, 0) != be32(b, 0) || int(be16(b, ip6Length)) != length-ip6Header ||
		string(a[ip6Next:ip6Header]) != string(b[ip6Next:ip6Header]) {
		return false
	}
	a, b = first[f.transport:f.headers], p[f.transport:f.headers]
	if be32(a, 0) != be32(b, 0) { // ports
		return false
	}
	if !f.tcp {
		return int(be16(b, udpLength)) == len(p)-f.transport
	}
	return be32(b, tcpSeq) == seq &&
		string(a[tcpAck:tcpFlags]) == string(b[tcpAck:tcpFlags]) && // including the length of the options
		a[tcpFlags]&^(fin|psh) == b[tcpFlags]&^(fin|psh) &&
		be16(a, tcpWindow) == be16(b, tcpWindow) &&
		string(a[tcpUrgent:]) == string(b[tcpUrgent:]) // including the options
}

// verify reports whether the checksums of p are correct and in the form in
// which Segments writes them: ones' complement has two zeros. The headers of p
// must be valid.
func (f *flow) verify(p []byte) bool {
	if f.ipv4 {
		h := p[f.ip:f.transport]
		if be16(h, ip4Check) == 0xffff || checksum.Sum(h, 0) != 0xffff {
			return false
		}
	}
	h := p[f.transport:]
	switch {
	case f.tcp && be16(h, tcpCheck) == 0xffff, !f.tcp && be16(h, udpCheck) == 0:
		return false
	}
	return fold(f.pseudo+uint32(len(h))+checksum.Sum(h, 0)) == 0xffff
}
