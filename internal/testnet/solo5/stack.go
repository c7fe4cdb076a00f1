package solo5

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
)

// Numbers of the protocols that the host knows.
const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806

	arpRequest, arpReply = 1, 2

	protocolICMP, protocolUDP  = 1, 17
	icmpEchoReply, icmpEchoAsk = 0, 8

	ethernetSize = 14
	arpSize      = 28
	udpSize      = 8
)

// host is what runs on the unikernel: one address that answers.
type host struct {
	mac  net.HardwareAddr
	addr netip.Addr
}

// answer makes the answer to a frame out of it, in place; nil for none.
func (h *host) answer(frame []byte) []byte {
	if len(frame) < ethernetSize || (!bytes.Equal(frame[:6], h.mac) && frame[0]&1 == 0) {
		return nil
	}
	body, ok := frame[ethernetSize:], false
	switch binary.BigEndian.Uint16(frame[12:]) {
	case typeARP:
		ok = h.answerARP(body)
	case typeIPv4:
		ok = h.answerIPv4(body)
	}
	if !ok {
		return nil
	}
	copy(frame, frame[6:12])
	copy(frame[6:], h.mac)
	return frame
}

// answerARP is of RFC 826, for Ethernet and IPv4.
func (h *host) answerARP(p []byte) bool {
	if len(p) < arpSize || !bytes.Equal(p[:8], []byte{0, 1, 8, 0, 6, 4, 0, arpRequest}) || !h.is(p[24:28]) {
		return false
	}
	p[7] = arpReply
	copy(p[18:], p[8:18]) // the sender of the request
	copy(p[8:], h.mac)
	copy(p[14:], h.addr.AsSlice())
	return true
}

func (h *host) is(addr []byte) bool { return bytes.Equal(addr, h.addr.AsSlice()) }

// answerIPv4 takes packets that are whole and addressed to the host.
func (h *host) answerIPv4(p []byte) bool {
	if len(p) < 20 || p[0]>>4 != 4 {
		return false
	}
	header, total := int(p[0]&15)*4, int(binary.BigEndian.Uint16(p[2:]))
	fragment := binary.BigEndian.Uint16(p[6:])&0x3fff != 0
	if header < 20 || total < header || total > len(p) || fragment || sum(p[:header]) != 0xffff || !h.is(p[16:20]) {
		return false
	}
	body := p[header:total]
	switch p[9] {
	case protocolICMP:
		if len(body) < 8 || body[0] != icmpEchoAsk || sum(body) != 0xffff {
			return false
		}
		body[0] = icmpEchoReply
		seal(body, 2, 0)
	case protocolUDP:
		if len(body) < udpSize || int(binary.BigEndian.Uint16(body[4:])) != len(body) {
			return false
		}
		pseudo := sum(p[12:20]) + protocolUDP + uint32(len(body))
		if binary.BigEndian.Uint16(body[6:]) != 0 && fold(pseudo+sum(body)) != 0xffff {
			return false
		}
		swap(body[0:2], body[2:4])
		seal(body, 6, pseudo)
	default:
		return false
	}
	swap(p[12:16], p[16:20])
	seal(p[:header], 10, 0)
	return true
}

// seal puts the checksum of p (RFC 1071) and of what else it covers at an
// offset.
func seal(p []byte, at int, more uint32) {
	p[at], p[at+1] = 0, 0
	c := ^uint16(fold(sum(p) + more))
	if c == 0 {
		c = 0xffff // the same number, and in UDP the one that means a checksum
	}
	binary.BigEndian.PutUint16(p[at:], c)
}

// sum is the ones' complement sum of p, of 16 bits.
func sum(p []byte) (s uint32) {
	for ; len(p) > 1; p = p[2:] {
		s += uint32(p[0])<<8 | uint32(p[1])
	}
	if len(p) > 0 {
		s += uint32(p[0]) << 8
	}
	return fold(s)
}

func fold(s uint32) uint32 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return s
}

func swap(a, b []byte) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}
