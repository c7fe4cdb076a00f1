package offload

import (
	"encoding/binary"

	"github.com/muennet/muennet/internal/packet"
)

// maxHeaders is the longest headers a packet to be cut may have, in bytes: Ethernet with a VLAN tag, IPv4 and TCP with all options
// need 138; the rest is for IPv6 extension headers.
const maxHeaders = 256

// Segments makes complete packets of what a device with IFF_VNET_HDR hands over: one with its checksum made good, or the segments
// of a TCP or UDP super-packet. The zero value makes none; Init may be called again and again.
type Segments struct {
	payload []byte // what was not written yet; the whole packet where there is nothing to cut
	left    int    // packets not written yet
	count   int
	maxLen  int
	cut     bool

	// Of a packet that is not cut: from where on its checksum counts, and where it is kept; 0 for no checksum.
	checkFrom, check int

	// Of a super-packet: see template.go.
	size int // payload bytes of each segment but the last
	template
}

// Init prepares p, which came with h and begins with an Ethernet header if eth is set. p belongs to the caller; it must stay as it is
// while Next is used, and is not changed. Unless the result is OK there is nothing to write. HdrLen is not looked at.
//
// What is to be cut must be TCP or UDP over IPv4 or IPv6, behind at most one VLAN tag; options and IPv6 extension headers are
// repeated in each segment. All other packets may be anything.
func (s *Segments) Init(h Header, p []byte, eth bool) Fault {
	s.payload, s.left, s.count, s.maxLen = nil, 0, 0, 0
	s.cut = h.GSOType != GSONone
	var f Fault
	switch {
	case len(p) == 0:
		return Empty
	case s.cut:
		f = s.initCut(h, p, eth)
	default:
		f = s.initWhole(h, p)
	}
	s.left = s.count
	return f
}

// initWhole takes a packet that stays one.
func (s *Segments) initWhole(h Header, p []byte) Fault {
	s.checkFrom, s.check = 0, 0
	if h.Flags&NeedsCsum != 0 {
		s.checkFrom = int(h.CsumStart)
		s.check = s.checkFrom + int(h.CsumOffset)
		if s.check == 0 || s.check+2 > len(p) { // no protocol begins with its checksum
			return BadChecksum
		}
	}
	s.payload, s.count, s.maxLen = p, 1, len(p)
	return OK
}

// initCut takes a super-packet.
func (s *Segments) initCut(h Header, p []byte, eth bool) Fault {
	var version byte // 0 where both will do
	s.tcp = true
	switch h.GSOType {
	case GSOTCPv4, GSOTCPv4 | GSOECN:
		version = 4
	case GSOTCPv6, GSOTCPv6 | GSOECN:
		version = 6
	case GSOUDPL4:
		s.tcp = false
	default:
		return BadType
	}
	if h.GSOSize == 0 {
		return BadSize
	}
	ip, found := network(p, eth)
	if found == 0 || version != 0 && version != found {
		return BadHeader
	}
	if f := s.find(p, ip, found); f != OK {
		return f
	}
	if h.Flags&NeedsCsum != 0 {
		check := udpCheck
		if s.tcp {
			check = tcpCheck
		}
		// Elsewhere it would be that of a tunnel's inner packet, which none of these GSO types announces.
		if int(h.CsumStart) != s.transport || int(h.CsumOffset) != check {
			return BadChecksum
		}
	}
	s.prepare(p)
	s.payload = p[s.headers:]
	s.size = int(h.GSOSize)
	s.count = max(1, (len(s.payload)+s.size-1)/s.size)
	s.maxLen = s.headers + min(s.size, len(s.payload))
	return OK
}

// Count returns how many packets it makes: at least 1, at most one for each byte of payload; 0 after a Fault.
func (s *Segments) Count() int { return s.count }

// Left returns how many packets Next has not written yet.
func (s *Segments) Left() int { return s.left }

// MaxLen returns the length of the longest packet it makes in bytes, with the Ethernet header; 0 after a Fault.
func (s *Segments) MaxLen() int { return s.maxLen }

// Next writes the next complete packet into dst and returns its length in bytes, 0 when all are written. dst must have MaxLen bytes,
// or Next panics; it may be shared memory, since it is never read. Does not allocate.
func (s *Segments) Next(dst []byte) int {
	if s.left == 0 {
		return 0
	}
	s.left--
	if !s.cut {
		return s.nextWhole(dst)
	}
	part := s.payload
	if len(part) > s.size {
		part = part[:s.size]
	}
	s.payload = s.payload[len(part):]
	s.fill(part, s.left == s.count-1, s.left == 0)
	// Adding up first brings the bytes near; one pass that does both is slower than sum and the runtime's copy.
	dst = dst[:s.headers+len(part)]
	copy(dst, s.header[:s.headers])
	copy(dst[s.headers:], part)
	return len(dst)
}

// nextWhole writes the packet that is not cut.
func (s *Segments) nextWhole(dst []byte) int {
	dst = dst[:len(s.payload)]
	copy(dst, s.payload)
	if s.check != 0 {
		// The sum of the pseudo header is in the field already and counts like all the rest.
		v := ^uint16(packet.Sum(s.payload[s.checkFrom:], 0))
		if v == 0 && s.check-s.checkFrom == udpCheck {
			v = 0xffff // 0 would mean none (RFC 768)
		}
		binary.BigEndian.PutUint16(dst[s.check:], v)
	}
	return len(dst)
}
