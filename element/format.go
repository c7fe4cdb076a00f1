package element

import "strconv"

// Format says how a packet lies in an element.
type Format uint8

// The formats, as chosen by the flags parameter of an interface.
const (
	Raw    Format = iota // no flag: the bytes alone
	NetHdr               // net_hdr: IP packets with mark and length in front
	EthDev               // eth_dev: Ethernet frames with the length behind
)

// Where things lie in an element of S bytes. Numbers are little-endian and packed; what nothing is said about is zero.
//
//	format   offset   bytes   content
//	Raw      0        S       packet; the receiver gets all S bytes, for there is no length
//	NetHdr   0        4       mark: the Netfilter mark of the packet
//	         4        2       length of the packet in bytes
//	         6        1       protocol: 4 for IPv4, 41 for IPv6 (IANA's numbers of these as payloads)
//	         7        1       qos: IPv4 type of service or IPv6 traffic class, shifted right by 2
//	         8        S-8     IP packet
//	EthDev   0        S-2     Ethernet frame, without padding and FCS
//	         S-2      2       length of the frame in bytes
const (
	markOffset     = 0
	lengthOffset   = 4
	protocolOffset = 6
	qosOffset      = 7
	headerSize     = 8 // of NetHdr; the packet starts here
	trailerSize    = 2 // of EthDev; the last bytes of the element
)

const (
	protocolIPv4 = 4  // RFC 2003
	protocolIPv6 = 41 // RFC 2473

	ipv4HeaderSize     = 20 // without options, RFC 791 section 3.1
	ipv6HeaderSize     = 40 // RFC 8200 section 3
	ethernetHeaderSize = 14 // two addresses and the type

	maxLength = 1<<16 - 1 // what a length field of 16 bits can say
)

// String returns the name of the flag that selects f: "raw", "net_hdr" or "eth_dev".
func (f Format) String() string {
	switch f {
	case Raw:
		return "raw"
	case NetHdr:
		return "net_hdr"
	case EthDev:
		return "eth_dev"
	}
	return "format(" + strconv.Itoa(int(f)) + ")"
}

// Size returns the bytes of an element for an interface with this MTU, which should be within [Format.MTU]'s range: the
// MTU itself for Raw, 8 more for NetHdr, 16 more (Ethernet header and length) for EthDev.
func (f Format) Size(mtu int) int {
	switch f {
	case NetHdr:
		return mtu + headerSize
	case EthDev:
		return mtu + ethernetHeaderSize + trailerSize
	}
	return mtu
}

// MaxPacket returns the bytes of the longest packet that fits into an element of size bytes, and 0 where none does. For EthDev
// this includes the Ethernet header. Beyond 65535 bytes a length field has no words for a packet, however large the element.
func (f Format) MaxPacket(size int) int {
	switch f {
	case NetHdr:
		size = min(size-headerSize, maxLength)
	case EthDev:
		size = min(size-trailerSize, maxLength)
	}
	return max(size, 0)
}

// MinSize returns the bytes of the smallest element that can hold a packet at all. A reader refuses channels with smaller ones:
// 1 for Raw, 28 (an IPv4 header) for NetHdr, 16 (an Ethernet header) for EthDev.
func (f Format) MinSize() int {
	switch f {
	case NetHdr:
		return headerSize + ipv4HeaderSize
	case EthDev:
		return ethernetHeaderSize + trailerSize
	}
	return 1
}

// MTU returns the range of MTUs an interface of this format may have, in bytes. The lower end of 68 is IPv4's (RFC 791
// section 3.2), the upper end keeps every length within 16 bits: EthDev's frames are 14 bytes longer than the MTU.
func (f Format) MTU() (lowest, highest int) {
	switch f {
	case NetHdr:
		return 68, maxLength
	case EthDev:
		return 68, maxLength - ethernetHeaderSize
	}
	return 1, maxLength
}
