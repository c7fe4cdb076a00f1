package element

import (
	"encoding/binary"
	"math/bits"
)

// Packet is what an element carried.
type Packet struct {
	Data []byte // inside the dst handed to Decode, valid until that is used again
	Mark uint32 // 0 unless the format is NetHdr
}

// Decode takes the packet out of slot, which is hostile shared memory and whose length is the element's size, into dst, which
// is the caller's and must have at least that capacity (else Decode panics).
//
// Each byte of slot is read at most once and at most as many as the packet needs. Whatever is decided is decided on values that
// dst holds afterwards, so that a peer that writes at the same time gets a packet or a fault, but never a disagreement between
// the two. The caller confirms the channel read afterwards and discards the result if that fails.
//
// Raw delivers the whole element. NetHdr believes the IP header's length only: IPv4's total length, or IPv6's payload length
// plus 40 (so that a jumbogram, which says 0, is cut to its header); it must be at least the fixed header's and end within the
// element. The protocol field must be 4 or 41 and agree with the packet's version; length and qos fields are ignored. EthDev
// wants a length of 14 up to size-2. It does not allocate.
func (f Format) Decode(dst, slot []byte) (Packet, Fault) {
	dst = dst[:len(slot):len(slot)]
	if len(slot) < f.MinSize() {
		return Packet{}, BadElement
	}
	switch f {
	case NetHdr:
		return decodeIP(dst, slot)
	case EthDev:
		return decodeEthernet(dst, slot)
	}
	copy(dst, slot)
	return Packet{Data: dst}, OK
}

// decodeIP expects len(dst) == len(slot) >= 28. The first 16 bytes are the header and, of the packet, all that it takes to know
// its length. They are loaded into two locals, which the compiler may not load again (The Go Memory Model, "Incorrect
// compilation"), and written to dst from these.
func decodeIP(dst, slot []byte) (Packet, Fault) {
	const headSize = 16
	header := binary.LittleEndian.Uint64(slot)
	start := binary.LittleEndian.Uint64(slot[headerSize:])
	binary.LittleEndian.PutUint64(dst, header)
	binary.LittleEndian.PutUint64(dst[headerSize:], start)

	var length, shortest int
	version := uint8(start) >> 4
	switch uint8(header >> (8 * protocolOffset)) {
	case protocolIPv4:
		if version != 4 {
			return Packet{}, BadVersion
		}
		length, shortest = networkOrder(start, 2), ipv4HeaderSize // RFC 791: total length
	case protocolIPv6:
		if version != 6 {
			return Packet{}, BadVersion
		}
		length, shortest = ipv6HeaderSize+networkOrder(start, 4), ipv6HeaderSize // RFC 8200: payload length
	default:
		return Packet{}, BadProtocol
	}
	end := headerSize + length
	if length < shortest || end > len(dst) {
		return Packet{}, BadLength
	}
	copy(dst[headSize:end], slot[headSize:end])
	return Packet{Data: dst[headerSize:end:end], Mark: uint32(header)}, OK
}

// networkOrder returns the big-endian 16-bit number at this byte offset of eight bytes that were loaded little-endian.
func networkOrder(word uint64, offset int) int {
	return int(bits.ReverseBytes16(uint16(word >> (8 * offset))))
}

// decodeEthernet expects len(dst) == len(slot) >= 16.
func decodeEthernet(dst, slot []byte) (Packet, Fault) {
	trailer := len(slot) - trailerSize
	field := binary.LittleEndian.Uint16(slot[trailer:])
	binary.LittleEndian.PutUint16(dst[trailer:], field)
	length := int(field)
	if length < ethernetHeaderSize || length > trailer {
		return Packet{}, BadLength
	}
	copy(dst[:length], slot[:length])
	return Packet{Data: dst[:length:length]}, OK
}
