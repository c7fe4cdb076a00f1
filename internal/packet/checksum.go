package packet

import (
	"encoding/binary"
	"math/bits"
)

// sumBlock is the number of bytes per iteration of Sum.
const sumBlock = 128

// Sum adds the bytes of b, as 16-bit big-endian numbers, to initial and returns
// the sum with its carries folded in: 0 to 0xffff, not complemented. An odd
// last byte is padded with a zero byte. So when a sum is computed in parts,
// only the last part may have an odd length. initial may have any value: 0, an
// earlier sum, or several sums added with +.
//
// The sum is 0 only if initial and all bytes are zero (RFC 1071 section 1:
// ones' complement has two zeros).
func Sum(b []byte, initial uint32) uint32 {
	// Add eight bytes at a time, in the byte order that is cheapest to
	// load: the byte order of the words affects only the byte order of the
	// result (RFC 1071 section 2 (B)). Each addition takes the carry of the
	// previous one, so no carry is lost.
	//
	// An addition with carry depends on the previous one. Two independent
	// chains can run in parallel.
	var sum, other, c uint64
	for len(b) >= sumBlock {
		p := (*[sumBlock]byte)(b)
		sum, c = bits.Add64(sum, binary.LittleEndian.Uint64(p[0:]), 0)
		sum, c = bits.Add64(sum, binary.LittleEndian.Uint64(p[8:]), c)
		sum, c = bits.Add64(sum, binary.LittleEndian.Uint64(p[16:]), c)
		sum, c = bits.Add64(sum, binary.LittleEndian.Uint64(p[24:]), c)
		sum, c = bits.Add64(sum, binary.LittleEndian.Uint64(p[32:]), c)
		sum, c = bits.Add64(sum, binary.LittleEndian.Uint64(p[40:]), c)
		sum, c = bits.Add64(sum, binary.LittleEndian.Uint64(p[48:]), c)
		sum, c = bits.Add64(sum, binary.LittleEndian.Uint64(p[56:]), c)
		sum += c // cannot overflow: a sum that carried is not all ones
		other, c = bits.Add64(other, binary.LittleEndian.Uint64(p[64:]), 0)
		other, c = bits.Add64(other, binary.LittleEndian.Uint64(p[72:]), c)
		other, c = bits.Add64(other, binary.LittleEndian.Uint64(p[80:]), c)
		other, c = bits.Add64(other, binary.LittleEndian.Uint64(p[88:]), c)
		other, c = bits.Add64(other, binary.LittleEndian.Uint64(p[96:]), c)
		other, c = bits.Add64(other, binary.LittleEndian.Uint64(p[104:]), c)
		other, c = bits.Add64(other, binary.LittleEndian.Uint64(p[112:]), c)
		other, c = bits.Add64(other, binary.LittleEndian.Uint64(p[120:]), c)
		other += c
		b = b[sumBlock:]
	}
	sum, carry := bits.Add64(sum, other, 0)
	for len(b) >= 8 {
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b), carry)
		b = b[8:]
	}
	if len(b) >= 4 {
		sum, carry = bits.Add64(sum, uint64(binary.LittleEndian.Uint32(b)), carry)
		b = b[4:]
	}
	if len(b) >= 2 {
		sum, carry = bits.Add64(sum, uint64(binary.LittleEndian.Uint16(b)), carry)
		b = b[2:]
	}
	if len(b) > 0 {
		sum, carry = bits.Add64(sum, uint64(b[0]), carry)
	}
	// No overflow: a sum of all ones with a carry can only follow another
	// such sum, and the first addition has no carry.
	ours := bits.ReverseBytes16(fold(sum + carry))
	return uint32(fold(uint64(initial) + uint64(ours)))
}

// Checksum returns the Internet checksum (RFC 1071) of b, continuing from
// initial, which is 0 or a result of Sum or PseudoHeader. For a header whose
// checksum field is zero it returns the value for that field; for one with a
// correct checksum it returns 0. UDP sends a checksum of 0 as 0xffff (RFC 768);
// that is up to the caller.
func Checksum(b []byte, initial uint32) uint16 {
	return ^uint16(Sum(b, initial))
}

// PseudoHeader returns the sum of the pseudo-header that TCP, UDP and ICMPv6
// checksums include (RFC 9293 section 3.1, RFC 8200 section 8.1). addresses
// holds source and destination as in the IP header: bytes 12 to 20 of IPv4, 8
// to 40 of IPv6. length is the size of transport header and payload in bytes.
func PseudoHeader(addresses []byte, protocol uint8, length int) uint32 {
	n := uint32(length)
	return Sum(addresses, n>>16+n&0xffff+uint32(protocol))
}

// fold adds the four 16-bit parts of sum with end-around carry.
func fold(sum uint64) uint16 {
	sum = sum>>32 + sum&0xffffffff // at most 0x1fffffffe
	sum = sum>>16 + sum&0xffff     // at most 0x2fffd
	sum = sum>>16 + sum&0xffff     // at most 0x10000
	sum = sum>>16 + sum&0xffff
	return uint16(sum)
}
