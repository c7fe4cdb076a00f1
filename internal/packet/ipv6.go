package packet

import (
	"encoding/binary"
	"net/netip"
)

// IPv6 is an IPv6 packet, header and payload, that ParseIPv6 has validated.
//
//	byte  0 to 3: version, traffic class, flow label   4: payload length   6: next header   7: hop limit
//	byte  8: source   24: destination   40: extension headers and payload
type IPv6 []byte

const (
	header6      = 40
	minMTU6      = 1280
	maxLength6   = header6 + 65535
	fragmentNext = 44 // next header value of a fragment header
)

// ParseIPv6 returns p as an IPv6 packet. It returns false unless version and
// payload length (exactly len(p) - 40) are correct. Jumbograms (RFC 2675) are
// not supported.
func ParseIPv6(p []byte) (IPv6, bool) {
	if len(p) < header6 || p[0]>>4 != 6 || header6+int(binary.BigEndian.Uint16(p[4:])) != len(p) {
		return nil, false
	}
	return IPv6(p), true
}

// Source returns the source address.
func (h IPv6) Source() netip.Addr { return netip.AddrFrom16([16]byte(h[8:24])) }

// Destination returns the destination address.
func (h IPv6) Destination() netip.Addr { return netip.AddrFrom16([16]byte(h[24:40])) }

// Transport skips the extension headers and returns the number and the bytes of
// the header after them. In a fragment other than the first, the number is that
// of the first header after the fragment header, and the bytes are nil, because
// the fragment does not contain that header. Transport returns false if the
// headers run past the end of the packet.
func (h IPv6) Transport() (protocol uint8, rest []byte, ok bool) {
	protocol, rest = h[6], h[header6:]
	for {
		var length int
		switch protocol {
		case 0, 43, 60, 135, 139, 140: // hop-by-hop, routing, destination options, mobility, HIP, shim6 (RFC 7045 section 4)
			if len(rest) < 8 {
				return protocol, nil, false
			}
			length = 8 + int(rest[1])*8
		case 51: // authentication (RFC 4302 section 2.2)
			if len(rest) < 8 {
				return protocol, nil, false
			}
			length = 8 + int(rest[1])*4
		case fragmentNext:
			if len(rest) < 8 {
				return protocol, nil, false
			}
			if binary.BigEndian.Uint16(rest[2:])&^7 != 0 {
				return rest[0], nil, true
			}
			length = 8
		default:
			return protocol, rest, true
		}
		if length > len(rest) {
			return protocol, nil, false
		}
		protocol, rest = rest[0], rest[length:]
	}
}
