package shmstream

import (
	"encoding/binary"
	"testing"
	"unsafe"
)

const testProtocol = 0x12

// newRegion returns n zero bytes of heap memory aligned to 8 bytes. Unlike
// mapped memory, the race detector watches it.
func newRegion(n int) []byte {
	words := make([]uint64, (n+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), n)
}

func newWriter(t testing.TB, region []byte) *Writer {
	t.Helper()
	w, err := NewWriter(region)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// startWriter returns an active writer with elements of size bytes.
func startWriter(t testing.TB, region []byte, size int) *Writer {
	t.Helper()
	w := newWriter(t, region)
	start(t, w, size)
	return w
}

func start(t testing.TB, w *Writer, size int) {
	t.Helper()
	if err := w.Start(WriterConfig{Protocol: testProtocol, Size: size}); err != nil {
		t.Fatal(err)
	}
}

func newReader(t testing.TB, region []byte) *Reader {
	t.Helper()
	r, err := NewReader(region, Expect{Protocol: testProtocol})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// startPair returns a writer and a synchronised reader on a ring of elements x
// size bytes.
func startPair(t testing.TB, elements, size int) (*Writer, *Reader, []byte) {
	t.Helper()
	region := newRegion(HeaderSize + elements*size)
	w := startWriter(t, region, size)
	r := newReader(t, region)
	if _, got := r.Next(); got != EpochChanged {
		t.Fatalf("first Next: %v, want EpochChanged", got)
	}
	return w, r, region
}

// poke and peek access a header word as a hostile peer or an observer would.
func poke(region []byte, offset int, v uint64) {
	binary.NativeEndian.PutUint64(region[offset:], v)
}

func peek(region []byte, offset int) uint64 {
	return binary.NativeEndian.Uint64(region[offset:])
}

// wantRead reads one element and compares it.
func wantRead(t testing.TB, r *Reader, want string) {
	t.Helper()
	buf := make([]byte, r.Size())
	n, result := r.Read(buf)
	if result != Success || string(buf[:n]) != want {
		t.Fatalf("Read: %q, %v; want %q, Success", buf[:n], result, want)
	}
}

// wantNext checks for an outcome of Next other than Success. If it differs from
// the previous outcome, Ready must have predicted it.
func wantNext(t testing.TB, r *Reader, want Result) {
	t.Helper()
	if slot, got := r.Next(); got != want || slot != nil {
		t.Fatalf("Next: %d bytes, %v; want %v (reason %q)", len(slot), got, want, r.Reason())
	}
}

func wantPanic(t testing.TB, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s did not panic", what)
		}
	}()
	f()
}
