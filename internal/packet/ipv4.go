package packet

import (
	"encoding/binary"
	"net/netip"
)

// IPv4 is an IPv4 packet, header and payload, that ParseIPv4 has validated.
//
//	byte  0        1        2        3
//	 0    version  TOS      total length
//	      | header
//	      | length/4
//	 4    id                flags | fragment offset / 8
//	 8    TTL      protocol header checksum
//	12    source
//	16    destination
//	20    options, up to 40 bytes
type IPv4 []byte

const (
	minHeader4 = 20
	maxHeader4 = 60
	maxLength4 = 65535

	reserved     = 0x8000 // flag that must be zero
	dontFragment = 0x4000
	moreFollow   = 0x2000
	offsetMask   = 0x1fff
)

// ParseIPv4 returns p as an IPv4 packet. It returns false unless version,
// header length, total length (exactly len(p)) and header checksum are correct.
func ParseIPv4(p []byte) (IPv4, bool) {
	if len(p) < minHeader4 || p[0]>>4 != 4 {
		return nil, false
	}
	h := IPv4(p)
	n := h.HeaderLength()
	if n < minHeader4 || n > len(p) || int(binary.BigEndian.Uint16(p[2:])) != len(p) {
		return nil, false
	}
	// A receiver would drop a packet with a damaged header, but not its
	// fragments, which get new checksums.
	return h, Checksum(p[:n], 0) == 0
}

// HeaderLength returns the length of the header with options, 20 to 60 bytes.
func (h IPv4) HeaderLength() int { return int(h[0]&0x0f) * 4 }

// DontFragment reports whether DF is set.
func (h IPv4) DontFragment() bool { return h.fragment()&dontFragment != 0 }

// Offset returns the fragment offset in bytes. It is 0 unless the packet is a
// fragment other than the first.
func (h IPv4) Offset() int { return int(h.fragment()&offsetMask) * 8 }

// Source returns the source address.
func (h IPv4) Source() netip.Addr { return netip.AddrFrom4([4]byte(h[12:16])) }

// Destination returns the destination address.
func (h IPv4) Destination() netip.Addr { return netip.AddrFrom4([4]byte(h[16:20])) }

// fragment returns the word that holds flags and fragment offset.
func (h IPv4) fragment() uint16 { return binary.BigEndian.Uint16(h[6:]) }

// setChecksum sets the header checksum.
func (h IPv4) setChecksum() {
	binary.BigEndian.PutUint16(h[10:], 0)
	binary.BigEndian.PutUint16(h[10:], Checksum(h[:h.HeaderLength()], 0))
}
