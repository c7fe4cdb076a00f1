package packet

import (
	"encoding/binary"
	"net/netip"
)

// IPv4 is an IPv4 packet from the first byte of its header to the last of its payload, as ParseIPv4 found it good.
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

	reserved     = 0x8000 // the flag that must be zero
	dontFragment = 0x4000
	moreFollow   = 0x2000
	offsetMask   = 0x1fff
)

// ParseIPv4 returns p as an IPv4 packet. It is false unless version, header length, total length (exactly len(p)) and header
// checksum are right.
func ParseIPv4(p []byte) (IPv4, bool) {
	if len(p) < minHeader4 || p[0]>>4 != 4 {
		return nil, false
	}
	h := IPv4(p)
	n := h.HeaderLength()
	if n < minHeader4 || n > len(p) || int(binary.BigEndian.Uint16(p[2:])) != len(p) {
		return nil, false
	}
	// A packet whose header was damaged would be thrown away by whoever gets it. Fragments of it get new checksums and would not.
	return h, Checksum(p[:n], 0) == 0
}

// HeaderLength returns the bytes of the header with its options, 20 to 60.
func (h IPv4) HeaderLength() int { return int(h[0]&0x0f) * 4 }

// DontFragment tells whether the sender forbade to cut the packet.
func (h IPv4) DontFragment() bool { return h.fragment()&dontFragment != 0 }

// Offset returns where the payload belongs in that of the whole packet, in bytes: not 0 for all fragments but the first.
func (h IPv4) Offset() int { return int(h.fragment()&offsetMask) * 8 }

// Source returns the source address.
func (h IPv4) Source() netip.Addr { return netip.AddrFrom4([4]byte(h[12:16])) }

// Destination returns the destination address.
func (h IPv4) Destination() netip.Addr { return netip.AddrFrom4([4]byte(h[16:20])) }

// fragment returns the word with flags and fragment offset.
func (h IPv4) fragment() uint16 { return binary.BigEndian.Uint16(h[6:]) }

// setChecksum makes the header checksum good.
func (h IPv4) setChecksum() {
	binary.BigEndian.PutUint16(h[10:], 0)
	binary.BigEndian.PutUint16(h[10:], Checksum(h[:h.HeaderLength()], 0))
}
