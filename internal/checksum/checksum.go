package checksum

import (
	"encoding/binary"
	"math/bits"
)

// block is the number of bytes per iteration of Sum in Go.
const block = 128

// maxRun is the longest run in bytes for sumRun and copyRun. A run of 2^34
// bytes could overflow their 64 bits.
const maxRun = 1 << 30

// Sum adds the bytes of b, as 16-bit big-endian numbers, to initial and returns
// the sum with its carries folded in: 0 to 0xffff, not complemented. An odd
// last byte is padded with a zero byte. So when a sum is computed in parts,
// only the last part may have an odd length. initial may have any value: 0, an
// earlier sum, or several sums added with +.
//
// The sum is 0 only if initial and all bytes are zero (RFC 1071 section 1:
// ones' complement has two zeros).
func Sum(b []byte, initial uint32) uint32 {
	for vector && len(b) >= leastRun {
		n := min(len(b), maxRun) &^ 31
		initial = finish(sumRun(&b[0], n), initial)
		b = b[n:]
	}
	// Add eight bytes at a time, in the byte order that is cheapest to
	// load. Each addition takes the carry of the previous one, so no carry
	// is lost.
	//
	// An addition with carry depends on the previous one. Two independent
	// chains can run in parallel.
	var sum, other, c uint64
	for len(b) >= block {
		p := (*[block]byte)(b)
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
		b = b[block:]
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
	return finish(sum+carry, initial)
}

// Copy copies src to the beginning of dst and returns Sum(src, initial). src
// must not change during the call. Copy does not read dst, so that may be
// shared memory; it must be at least as long as src, otherwise Copy panics, and
// must not overlap it.
func Copy(dst, src []byte, initial uint32) uint32 {
	dst = dst[:len(src)]
	for vector && len(src) >= leastRun {
		n := min(len(src), maxRun) &^ 31
		initial = finish(copyRun(&dst[0], &src[0], n), initial)
		dst, src = dst[n:], src[n:]
	}
	// The sum and the runtime's copy are faster than one loop in Go for
	// both.
	copy(dst, src)
	return Sum(src, initial)
}

// finish folds sum, which is of numbers in little-endian order, and adds
// initial. The byte order of the words affects only the byte order of the
// result (RFC 1071 section 2 (B)).
func finish(sum uint64, initial uint32) uint32 {
	return uint32(fold(uint64(initial) + uint64(bits.ReverseBytes16(fold(sum)))))
}

// fold adds the four 16-bit parts of sum with end-around carry.
func fold(sum uint64) uint16 {
	sum = sum>>32 + sum&0xffffffff // at most 0x1fffffffe
	sum = sum>>16 + sum&0xffff     // at most 0x2fffd
	sum = sum>>16 + sum&0xffff     // at most 0x10000
	sum = sum>>16 + sum&0xffff
	return uint16(sum)
}
