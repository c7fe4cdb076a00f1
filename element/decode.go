package element

import (
	"encoding/binary"
	"math/bits"
)

// Packet is the content of an element.
type Packet struct {
	Data []byte // aliases the dst passed to Decode
	Mark uint32 // 0 unless the format is NetHdr
}

// Decode copies the packet out of slot into dst. slot is hostile shared memory,
// and its length is the size of the element. dst belongs to the caller and must
// have at least that capacity, otherwise Decode panics.
//
// Decode reads each byte of slot at most once, and only as many bytes as the
// packet needs. It validates only values that dst holds afterwards. So if a
// peer writes at the same time, the result is a packet or a fault, and it
// always agrees with dst. The caller must then confirm the read of the channel,
// and discard the result if that fails.
//
// Raw delivers the whole element. NetHdr uses only the length in the IP header:
// the total length of IPv4, or the payload length of IPv6 plus 40 (so a
// jumbogram, whose payload length is 0, is cut to its header). It must cover
// the fixed header and end within the element. The protocol field must be 4 or
// 41 and agree with the version of the packet; the length and qos fields are
// ignored. EthDev requires a length of 14 up to size-2.
//
// Decode does not allocate.
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

// decodeIP requires len(dst) == len(slot) >= 28. The first 16 bytes contain the
// header and everything that determines the length of the packet. They are
// loaded into two locals, which the compiler must not load again (The Go Memory
// Model, "Incorrect compilation"), and dst is written from these.
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

// networkOrder returns the big-endian 16-bit number at the given byte offset of
// eight bytes that were loaded little-endian.
func networkOrder(word uint64, offset int) int {
	return int(bits.ReverseBytes16(uint16(word >> (8 * offset))))
}

// decodeEthernet requires len(dst) == len(slot) >= 16.
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
