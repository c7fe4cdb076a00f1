package packet

import (
	"encoding/binary"
	"testing"

	"github.com/muennet/muennet/internal/checksum"
)

func TestChecksumRFC1071(t *testing.T) {
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7} // section 3
	if got := Checksum(b, 0); got != 0x220d {
		t.Errorf("checksum %#x, want 0x220d", got)
	}
}

func TestPseudoHeader(t *testing.T) {
	addresses := payloadOf(32)
	for _, n := range []int{8, 32} {
		for _, length := range []int{0, 1, 8, 65535, 65536, 1<<24 + 513} {
			// RFC 8200 section 8.1: addresses, 32-bit length,
			// zeros, next header. RFC 9293 has a 16-bit length in
			// another order, with the same sum.
			header := binary.BigEndian.AppendUint32(append([]byte{}, addresses[:n]...), uint32(length))
			header = append(header, 0, 0, 0, 58)
			if got, want := checksum.Sum(nil, PseudoHeader(addresses[:n], 58, length)), naiveSum(header, 0); got != want {
				t.Errorf("%d bytes of addresses, length %d: %#x, want %#x", n, length, got, want)
			}
		}
	}
}
