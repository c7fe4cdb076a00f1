package cli

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/muennet/muennet/shmstream"
)

// aligned is memory of n bytes that begins at a multiple of 8.
func aligned(n int) []byte {
	words := make([]uint64, n/8+1)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n)
}

// TestCopyAtomic: every offset and length over regions of every remainder.
func TestCopyAtomic(t *testing.T) {
	for size := 1; size <= 33; size++ {
		mem := aligned(size)
		for i := range mem {
			mem[i] = byte(i + 1)
		}
		for at := range size {
			for n := range size - at + 1 {
				dst := make([]byte, n)
				copyAtomic(dst, mem, uint64(at))
				if !bytes.Equal(dst, mem[at:at+n]) {
					t.Fatalf("%d bytes from %d of %d: % x", n, at, size, dst)
				}
			}
		}
	}
}

// TestPeekWhileWritten: a writer at full speed; each copy that is handed out is
// whole and the one it claims to be.
func TestPeekWhileWritten(t *testing.T) {
	const size, elements = 500, 64
	r := makeChannel(t, t.TempDir(), "a", 64+size*elements)
	w := startWriter(t, r, 1, size)
	var stop atomic.Bool
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop.Store(true)
	wg.Go(func() {
		for i := 0; !stop.Load(); i++ {
			w.Write(bytes.Repeat([]byte{byte(i), byte(i >> 8)}, size/2))
		}
	})
	// The writer laps the older copies: both outcomes occur.
	for seen := 0; seen < 5000; {
		_, slots, err := peek(r.Bytes(), elements)
		if err != nil {
			t.Fatal(err)
		}
		seen += len(slots)
		for _, s := range slots {
			if want := bytes.Repeat([]byte{byte(s.index), byte(s.index >> 8)}, size/2); !slices.Equal(s.data, want) {
				t.Fatalf("element %d is % x...", s.index, s.data[:8])
			}
		}
	}
}

// TestPeekRing: what is being overwritten at the moment is left out.
func TestPeekRing(t *testing.T) {
	mem := aligned(64 + 4*8)
	w, err := shmstream.NewWriter(mem)
	if err == nil {
		err = w.Start(shmstream.WriterConfig{Protocol: 1, Size: 8})
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		w.Write([]byte("complete"))
	}
	w.Reserve(2) // elements 0 and 1 may be torn from here on
	_, slots, err := peek(mem, 100)
	if err != nil || len(slots) != 2 || slots[0].index != 2 || slots[1].index != 3 {
		t.Errorf("got %v, %v", slots, err)
	}
}

// TestPeekBounded: the copies stay within bounds however large the region is.
func TestPeekBounded(t *testing.T) {
	const size = 1 << 20
	r := makeChannel(t, t.TempDir(), "a", 64+80*size)
	w := startWriter(t, r, 1, size)
	for range 80 {
		w.Write([]byte("x"))
	}
	_, slots, err := peek(r.Bytes(), 1<<63)
	if err != nil || len(slots) != peekMemory/size {
		t.Errorf("%d elements, %v", len(slots), err)
	}
}

func TestPeekTooSmall(t *testing.T) {
	if _, _, err := peek(aligned(63), 1); err == nil {
		t.Error("a region of 63 bytes has a header")
	}
	if _, _, err := peek(aligned(64), 1); err == nil || !strings.Contains(err.Error(), "inactive") {
		t.Errorf("error %v", err)
	}
}

func TestHexdump(t *testing.T) {
	if got := hexdump(nil); got != "00000000\n" {
		t.Errorf("%q", got)
	}
	data := append(bytes.Repeat([]byte("0123456789abcdef"), 3), "\x00\x1f ~\x7f\xff|\n!"...)
	want := `00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|
*
00000030  00 1f 20 7e 7f ff 7c 0a  21                       |.. ~..|.!|
00000039
`
	if got := hexdump(data); got != want {
		t.Errorf("prints\n%s, want\n%s", got, want)
	}
}
