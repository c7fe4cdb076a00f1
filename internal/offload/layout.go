package offload

import "encoding/binary"

// Offsets of header fields, from the first byte of the header in their names.
const (
	ethHeader  = 14
	vlanHeader = ethHeader + 4
	ip4Header  = 20
	ip6Header  = 40
	tcpHeader  = 20
	udpHeader  = 8

	typeIPv4  = 0x0800
	typeIPv6  = 0x86dd
	typeVLAN  = 0x8100 // 802.1Q
	typeSVLAN = 0x88a8 // 802.1ad

	ip4Length, ip4ID, ip4Fragment, ip4Protocol, ip4Check, ip4Addresses  = 2, 4, 6, 9, 10, 12
	ip6Length, ip6Next, ip6Addresses                                    = 4, 6, 8
	tcpSeq, tcpAck, tcpOffset, tcpFlags, tcpWindow, tcpCheck, tcpUrgent = 4, 8, 12, 13, 14, 16, 18
	udpLength, udpCheck                                                 = 4, 6

	protocolTCP, protocolUDP = 6, 17
	dontFragment             = 0x4000
	moreAndOffset            = 0x3fff // of the fragment word; not 0 in a fragment

	fin, syn, rst, psh, urg, cwr = 0x01, 0x02, 0x04, 0x08, 0x20, 0x80
)

// maxIP is the maximum length of a merged IP packet in bytes. IPv6 would allow
// 40 more, but Linux does not merge beyond this either.
const maxIP = 65535

func be16(b []byte, at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
func be32(b []byte, at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }

func put16(b []byte, at int, v uint16) { binary.BigEndian.PutUint16(b[at:], v) }
func put32(b []byte, at int, v uint32) { binary.BigEndian.PutUint32(b[at:], v) }

// network returns the offset of the IP header in p and its version, 4 or 6. The
// version is 0 if there is no IP header or the Ethernet type disagrees. p has
// at least one byte at the returned offset.
func network(p []byte, eth bool) (at int, version byte) {
	var kind uint16
	if eth {
		if len(p) <= ethHeader {
			return 0, 0
		}
		at, kind = ethHeader, be16(p, ethHeader-2)
		if kind == typeVLAN || kind == typeSVLAN {
			if len(p) <= vlanHeader {
				return 0, 0
			}
			at, kind = vlanHeader, be16(p, vlanHeader-2)
		}
	} else if len(p) == 0 {
		return 0, 0
	}
	switch version = p[at] >> 4; {
	case version == 4 && (!eth || kind == typeIPv4), version == 6 && (!eth || kind == typeIPv6):
		return at, version
	}
	return 0, 0
}

// fold adds the two halves of s with end-around carry.
func fold(s uint32) uint16 {
	s = s>>16 + s&0xffff // at most 0x1fffe
	return uint16(s>>16 + s)
}
