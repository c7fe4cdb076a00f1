package offload

import (
	"math/rand/v2"
	"testing"
)

func TestSumAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, content := range map[string]func() byte{
		"random": func() byte { return byte(r.Uint32()) },
		"zeros":  func() byte { return 0 },
		"ones":   func() byte { return 0xff },
		"most":   func() byte { return 0xff - byte(r.Uint32()&1) },
	} {
		t.Run(name, func(t *testing.T) {
			memory := make([]byte, 1600)
			for i := range memory {
				memory[i] = content()
			}
			for length := 0; length <= 1590; length++ {
				at := length % 8
				if got, want := sum(memory[at:at+length]), naiveSum(memory[at:at+length], 0); uint64(got) != want {
					t.Fatalf("%d bytes at %d: %#x, want %#x", length, at, got, want)
				}
			}
		})
	}
}

// Numbers that carry, and carry once more when the carry is added, in each place of both chains and where they are joined.
func TestSumCarries(t *testing.T) {
	for i := range 2 * sumBlock / 8 {
		for j := range 2 * sumBlock / 8 {
			b := make([]byte, 2*sumBlock)
			for k := range 8 {
				b[8*i+k] = 0xff
				if j != i {
					b[8*j+k] = 0xff
				}
			}
			b[8*i] = 0xfe
			if got, want := sum(b), naiveSum(b, 0); uint64(got) != want {
				t.Fatalf("ones at %d and %d: %#x, want %#x", i, j, got, want)
			}
		}
	}
}

func TestFold(t *testing.T) {
	for _, v := range []uint32{0, 1, 0xffff, 0x10000, 0x1ffff, 0xffff0001, 0xfffeffff, 0xffffffff, 0x8000ffff} {
		if got, want := fold(v), naiveSum(nil, uint64(v)); uint64(got) != want {
			t.Errorf("%#x: %#x, want %#x", v, got, want)
		}
	}
}
