package offload

import (
	"encoding/binary"

	"github.com/muennet/muennet/internal/checksum"
)

// maxHeaders is the maximum length in bytes of the headers of a super-packet.
// Ethernet with a VLAN tag, IPv4 and TCP with all options need 138; the rest is
// for IPv6 extension headers.
const maxHeaders = 256

// Segments produces complete packets from what a device with IFF_VNET_HDR
// delivers: a single packet with its checksum completed, or the segments of a
// TCP or UDP super-packet. The zero value produces none. Init may be called
// repeatedly.
type Segments struct {
	payload []byte // not yet written; the whole packet if it is not split
	left    int    // packets not yet written
	count   int
	maxLen  int
	cut     bool

	// Of a packet that is not split: start of the checksummed bytes, and
	// offset of the checksum field; 0 for no checksum.
	checkFrom, check int

	// Of a super-packet; see template.go.
	size int // payload bytes of each segment but the last
	template
}

// Init prepares p, which has the virtio header h and begins with an Ethernet
// header if eth is set. p belongs to the caller and must not change while Next
// is in use; Init does not modify it. Unless the result is OK there is nothing
// to write. Init ignores HdrLen.
//
// A super-packet must be TCP or UDP over IPv4 or IPv6, after at most one VLAN
// tag. Options and IPv6 extension headers are repeated in each segment. Any
// other packet may be anything.
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

// initWhole prepares a packet that is not split.
func (s *Segments) initWhole(h Header, p []byte) Fault {
	s.checkFrom, s.check = 0, 0
	if h.Flags&NeedsCsum != 0 {
		s.checkFrom = int(h.CsumStart)
		s.check = s.checkFrom + int(h.CsumOffset)
		if s.check == 0 || s.check+2 > len(p) { // no header begins with its checksum
			return BadChecksum
		}
	}
	s.payload, s.count, s.maxLen = p, 1, len(p)
	return OK
}

// initCut prepares a super-packet.
func (s *Segments) initCut(h Header, p []byte, eth bool) Fault {
	var version byte // 0 = either
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
		// A checksum elsewhere would be that of the inner packet of a
		// tunnel, which none of these GSO types announces.
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

// Count returns the number of packets: at least 1, at most one for each byte of
// payload; 0 after a Fault.
func (s *Segments) Count() int { return s.count }

// Left returns the number of packets that Next has not yet written.
func (s *Segments) Left() int { return s.left }

// MaxLen returns the length of the longest packet in bytes, including the
// Ethernet header; 0 after a Fault.
func (s *Segments) MaxLen() int { return s.maxLen }

// Next writes the next complete packet into dst and returns its length in
// bytes, 0 after the last. dst must have MaxLen bytes, otherwise Next panics.
// It may be shared memory, because Next does not read it. Next does not
// allocate.
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
	dst = dst[:s.headers+len(part)]
	sum := checksum.Copy(dst[s.headers:], part, 0)
	s.fill(len(part), sum, s.left == s.count-1, s.left == 0)
	copy(dst, s.header[:s.headers])
	return len(dst)
}

// nextWhole writes the packet that is not split.
func (s *Segments) nextWhole(dst []byte) int {
	dst = dst[:len(s.payload)]
	if s.check == 0 {
		copy(dst, s.payload)
	} else {
		copy(dst, s.payload[:s.checkFrom])
		// The field already holds the sum of the pseudo-header, and
		// counts like the rest.
		v := ^uint16(checksum.Copy(dst[s.checkFrom:], s.payload[s.checkFrom:], 0))
		if v == 0 && s.check-s.checkFrom == udpCheck {
			v = 0xffff // 0 would mean no checksum (RFC 768)
		}
		binary.BigEndian.PutUint16(dst[s.check:], v)
	}
	return len(dst)
}
