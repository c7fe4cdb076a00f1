package element

import "strconv"

// Format is the layout of a packet in an element.
type Format uint8

// The formats. The flags parameter of an interface selects one.
const (
	Raw    Format = iota // no flag: only the packet
	NetHdr               // net_hdr: IP packets after a header with mark and length
	EthDev               // eth_dev: Ethernet frames, the length at the end
)

// The layout of an element of S bytes. Numbers are little-endian and packed;
// the remaining bytes are zero.
//
//	format   offset   bytes   content
//	Raw      0        S       packet; without a length field, the receiver gets all S bytes
//	NetHdr   0        4       mark: the Netfilter mark of the packet
//	         4        2       length of the packet in bytes
//	         6        1       protocol: 4 for IPv4, 41 for IPv6 (IANA protocol numbers)
//	         7        1       qos: IPv4 type of service or IPv6 traffic class, shifted right by 2
//	         8        S-8     IP packet
//	EthDev   0        S-2     Ethernet frame, without padding and FCS
//	         S-2      2       length of the frame in bytes
const (
	markOffset     = 0
	lengthOffset   = 4
	protocolOffset = 6
	qosOffset      = 7
	headerSize     = 8 // of NetHdr; the packet follows
	trailerSize    = 2 // of EthDev; the last bytes of the element
)

const (
	protocolIPv4 = 4  // RFC 2003
	protocolIPv6 = 41 // RFC 2473

	ipv4HeaderSize     = 20 // without options, RFC 791 section 3.1
	ipv6HeaderSize     = 40 // RFC 8200 section 3
	ethernetHeaderSize = 14 // two addresses and the type

	maxLength = 1<<16 - 1 // the largest 16-bit length
)

// String returns the name of the flag that selects f: "raw", "net_hdr" or
// "eth_dev".
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

// Size returns the element size in bytes for an interface with this MTU, which
// should be within the range of [Format.MTU]: the MTU itself for Raw, 8 more
// for NetHdr, 16 more (Ethernet header and length) for EthDev.
func (f Format) Size(mtu int) int {
	switch f {
	case NetHdr:
		return mtu + headerSize
	case EthDev:
		return mtu + ethernetHeaderSize + trailerSize
	}
	return mtu
}

// MaxPacket returns the size in bytes of the longest packet that fits into an
// element of size bytes, 0 if none does. For EthDev this includes the Ethernet
// header. However large the element, NetHdr and EthDev carry at most 65535
// bytes, because their length fields have 16 bits.
func (f Format) MaxPacket(size int) int {
	switch f {
	case NetHdr:
		size = min(size-headerSize, maxLength)
	case EthDev:
		size = min(size-trailerSize, maxLength)
	}
	return max(size, 0)
}

// MinSize returns the size in bytes of the smallest element that can hold a
// packet: 1 for Raw, 28 (with an IPv4 header) for NetHdr, 16 (with an Ethernet
// header) for EthDev. A reader refuses channels with smaller elements.
func (f Format) MinSize() int {
	switch f {
	case NetHdr:
		return headerSize + ipv4HeaderSize
	case EthDev:
		return ethernetHeaderSize + trailerSize
	}
	return 1
}

// MTU returns the range of MTUs, in bytes, that an interface of this format may
// have. The lower limit of 68 is that of IPv4 (RFC 791 section 3.2). The upper
// limit keeps every length within 16 bits; frames of EthDev are 14 bytes longer
// than the MTU.
func (f Format) MTU() (lowest, highest int) {
	switch f {
	case NetHdr:
		return 68, maxLength
	case EthDev:
		return 68, maxLength - ethernetHeaderSize
	}
	return 1, maxLength
}
