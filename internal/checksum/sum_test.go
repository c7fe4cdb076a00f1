package checksum

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// naiveSum is Sum as in RFC 1071 section 1: 16 bits at a time, in a number too
// wide to overflow.
func naiveSum(b []byte, initial uint32) uint32 {
	sum := uint64(initial)
	for i := 0; i < len(b); i += 2 {
		sum += uint64(b[i]) << 8
		if i+1 < len(b) {
			sum += uint64(b[i+1])
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint32(sum)
}

// bytesOf returns n bytes in which misplaced bytes are detected.
func bytesOf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(7*i + i>>8)
	}
	return b
}

// check compares Sum and Copy with naiveSum, with vectors and without. It
// copies to offset at of around, whose other bytes must stay.
func check(t *testing.T, around, b []byte, at int, initial uint32) {
	t.Helper()
	want := naiveSum(b, initial)
	has := vector
	defer func() { vector = has }()
	for _, use := range []bool{false, has} {
		vector = use
		if got := Sum(b, initial); got != want {
			t.Fatalf("sum of %d bytes, initial %#x, vectors %t: %#x, want %#x", len(b), initial, use, got, want)
		}
		const other = 0xa5
		for i := range around {
			around[i] = other
		}
		if got := Copy(around[at:], b, initial); got != want {
			t.Fatalf("copy of %d bytes to %d, initial %#x, vectors %t: %#x, want %#x", len(b), at, initial, use, got, want)
		}
		end := at + len(b)
		before, after := bytes.Count(around[:at], []byte{other}), bytes.Count(around[end:], []byte{other})
		if !bytes.Equal(around[at:end], b) || before != at || after != len(around)-end {
			t.Fatalf("copy of %d bytes to %d, vectors %t:\n got % x\nwant % x", len(b), at, use, around, b)
		}
	}
}

// Every length to beyond the largest packet of an Ethernet, and a few of them
// from and to every alignment in a vector.
func TestAgainstNaive(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	contents := map[string]func() byte{
		"random": func() byte { return byte(random.Uint32()) },
		"zeros":  func() byte { return 0 },
		"ones":   func() byte { return 0xff }, // each addition carries
	}
	for name, content := range contents {
		t.Run(name, func(t *testing.T) {
			memory, around := make([]byte, 1600), make([]byte, 1600)
			for i := range memory {
				memory[i] = content()
			}
			for length := 0; length <= 1520; length++ {
				from, to := random.IntN(33), random.IntN(33)
				initials := []uint32{0, 0xffff, 0xffffffff}
				if length > 300 { // the short ones cover each branch of the loops
					initials = initials[:1]
				}
				for _, initial := range initials {
					check(t, around, memory[from:from+length], to, initial)
				}
			}
			for _, length := range []int{97, 160, 255} {
				for from := range 33 {
					for to := range 33 {
						check(t, around[:300], memory[from:from+length], to, 0)
					}
				}
			}
		})
	}
}

// As long as a super-packet, and longer, of what fills the vectors most.
func TestLong(t *testing.T) {
	for _, n := range []int{65535, 65536, 1<<20 + 13} {
		b, around := bytes.Repeat([]byte{0xff}, n), make([]byte, n+40)
		check(t, around, b, 7, 0xffffffff)
		b[n/2] = 0x12
		check(t, around, b, 1, 0)
	}
}

// Each of these carries in the last but one step of fold, and again in the
// last.
func TestSumCarriesTwice(t *testing.T) {
	for _, b := range [][]byte{
		{0x00, 0x00, 0x01, 0x00, 0xff, 0xff, 0xff, 0xff},
		{0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x01, 0x00},
	} {
		check(t, make([]byte, 8), b, 0, 0)
	}
}

func TestSumRFC1071(t *testing.T) {
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7} // section 3
	if got := Sum(b, 0); got != 0xddf2 {
		t.Errorf("sum %#x, want 0xddf2", got)
	}
}

func TestSumOfParts(t *testing.T) {
	b := bytesOf(201)
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

// Numbers that carry, and carry again when the carry is added, at each position
// of both chains and where the chains are joined.
func TestSumCarriesInEachPlace(t *testing.T) {
	around := make([]byte, 2*block)
	for i := range 2 * block / 8 {
		for j := range 2 * block / 8 {
			b := make([]byte, 2*block)
			for k := range 8 {
				b[8*i+k], b[8*j+k] = 0xff, 0xff
			}
			b[8*i] = 0xfe
			check(t, around, b, 0, 0)
		}
	}
}

func TestCopyIntoShort(t *testing.T) {
	for _, n := range []int{1, 40, 1500} {
		memory := make([]byte, 2*n)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes copied into %d", n, n-1)
				}
			}()
			Copy(memory[:n-1:n-1], bytesOf(n), 0)
		}()
		if !bytes.Equal(memory, make([]byte, 2*n)) {
			t.Errorf("%d bytes: % x written", n, memory)
		}
	}
}

func TestDoesNotAllocate(t *testing.T) {
	b, dst := bytesOf(1500), make([]byte, 1500)
	if n := testing.AllocsPerRun(100, func() { Copy(dst, b, Sum(b, 0)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzSum(f *testing.F) {
	f.Add(bytesOf(67), uint32(0), uint8(0))
	f.Add(bytesOf(300), uint32(0xffffffff), uint8(31))
	f.Fuzz(func(t *testing.T, b []byte, initial uint32, at uint8) {
		from := min(len(b), int(at>>4))
		check(t, make([]byte, len(b)+32), b[from:], int(at&15), initial)
	})
}
