package packet

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

func TestSumAgainstNaive(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	contents := map[string]func() byte{
		"random": func() byte { return byte(random.Uint32()) },
		"zeros":  func() byte { return 0 },
		"ones":   func() byte { return 0xff }, // each addition carries
	}
	for name, content := range contents {
		t.Run(name, func(t *testing.T) {
			memory := make([]byte, 1600)
			for i := range memory {
				memory[i] = content()
			}
			for length := 0; length <= 1520; length++ {
				for at := range 8 {
					b := memory[at : at+length]
					initials := []uint32{0, 0xffff, 0xffffffff}
					if length > 300 { // the short ones cover each branch of the loops
						initials = initials[:1]
					}
					for _, initial := range initials {
						if got, want := Sum(b, initial), naiveSum(b, initial); got != want {
							t.Fatalf("%d bytes at %d, initial %#x: %#x, want %#x", length, at, initial, got, want)
						}
					}
				}
			}
		})
	}
}

// Each of these carries in the last but one step of fold, and again in the
// last.
func TestSumCarriesTwice(t *testing.T) {
	for _, b := range [][]byte{
		{0x00, 0x00, 0x01, 0x00, 0xff, 0xff, 0xff, 0xff},
		{0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x01, 0x00},
	} {
		if got, want := Sum(b, 0), naiveSum(b, 0); got != want {
			t.Errorf("% x: %#x, want %#x", b, got, want)
		}
	}
}

func TestSumRFC1071(t *testing.T) {
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7} // section 3
	if got := Sum(b, 0); got != 0xddf2 {
		t.Errorf("sum %#x, want 0xddf2", got)
	}
	if got := Checksum(b, 0); got != 0x220d {
		t.Errorf("checksum %#x, want 0x220d", got)
	}
}

func TestSumOfParts(t *testing.T) {
	b := payloadOf(201)
	want := Sum(b, 0)
	for at := 0; at <= len(b); at += 2 {
		if got := Sum(b[at:], Sum(b[:at], 0)); got != want {
			t.Errorf("in two parts of %d and %d bytes: %#x, want %#x", at, len(b)-at, got, want)
		}
		if got := Sum(nil, Sum(b[:at], 0)+Sum(b[at:], 0)); got != want {
			t.Errorf("sums of %d and %d bytes added: %#x, want %#x", at, len(b)-at, got, want)
		}
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
			if got, want := Sum(nil, PseudoHeader(addresses[:n], 58, length)), naiveSum(header, 0); got != want {
				t.Errorf("%d bytes of addresses, length %d: %#x, want %#x", n, length, got, want)
			}
		}
	}
}

// Numbers that carry, and carry again when the carry is added, at each position
// of both chains and where the chains are joined.
func TestSumCarriesInEachPlace(t *testing.T) {
	for i := range 2 * sumBlock / 8 {
		for j := range 2 * sumBlock / 8 {
			b := make([]byte, 2*sumBlock)
			for k := range 8 {
				b[8*i+k], b[8*j+k] = 0xff, 0xff
			}
			b[8*i] = 0xfe
			if got, want := Sum(b, 0), naiveSum(b, 0); got != want {
				t.Fatalf("ones at %d and %d: %#x, want %#x", i, j, got, want)
			}
		}
	}
}
