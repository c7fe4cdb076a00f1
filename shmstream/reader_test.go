package shmstream

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The example of the specification: 8 elements of 2 bytes, nine written and the
// tenth half written. Values 1 and 2 are overwritten, 3 to 9 are readable.
// Element n (from 0) holds the value n+1 in both bytes.
func TestSpecificationExample(t *testing.T) {
	image, err := os.ReadFile("testdata/appendix_a.bin")
	if err != nil {
		t.Fatal(err)
	}
	region := newRegion(len(image))
	copy(region, image)
	h, err := ReadHeader(region)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Header{Transport, 1, 0xbeefbeefbeef, 2, 8, 0, 10, 9}); h != want {
		t.Fatalf("header %+v, want %+v", h, want)
	}
	for value := uint64(1); value <= 10; value++ {
		r, err := NewReader(region, Expect{Protocol: h.Protocol})
		if err != nil {
			t.Fatal(err)
		}
		wantNext(t, r, EpochChanged)
		r.seek(value - 1) // as if it had read up to that element
		buf := make([]byte, 2)
		_, got := r.Read(buf)
		want := Success
		switch {
		case value <= 2:
			want = Overrun
		case value == 10:
			want = NoData
		}
		if got != want {
			t.Errorf("value %d: %v, want %v", value, got, want)
		}
		if got == Success && (buf[0] != byte(value) || buf[1] != byte(value)) {
			t.Errorf("value %d: read %x", value, buf)
		}
	}
	// From the beginning: one overrun to half a ring behind WC, then 6 to
	// 9.
	r, _ := NewReader(region, Expect{Protocol: h.Protocol})
	wantNext(t, r, EpochChanged)
	if _, got := r.Read(nil); got != Overrun || r.Position() != 5 {
		t.Fatalf("%v, position %d; want Overrun, 5", got, r.Position())
	}
	if s := r.Stats(); s.Overruns != 1 || s.Lost != 5 {
		t.Errorf("%+v, want 1 overrun, 5 lost", s)
	}
	for _, want := range []string{"\x06\x06", "\x07\x07", "\x08\x08", "\x09\x09"} {
		wantRead(t, r, want)
	}
	wantNext(t, r, NoData)
}

func TestTinyRingsWrap(t *testing.T) {
	for _, ring := range []struct{ elements, size int }{{1, 1}, {1, 64}, {2, 3}, {8, 2}, {3, 65}} {
		w, r, _ := startPair(t, ring.elements, ring.size)
		buf := make([]byte, ring.size)
		for i := range 5*ring.elements + 1 {
			p := []byte(strings.Repeat(string([]byte{byte(i)}), ring.size))
			w.Write(p)
			if n, got := r.Read(buf); got != Success || string(buf[:n]) != string(p) {
				t.Fatalf("%+v: element %d: %q, %v", ring, i, buf[:n], got)
			}
			wantNext(t, r, NoData)
		}
	}
}

// A ring that is exactly full is readable in full; one more element is an
// overrun.
func TestFullRing(t *testing.T) {
	w, r, _ := startPair(t, 4, 1)
	write := func(s string) {
		for _, c := range s {
			w.Write([]byte(string(c)))
		}
	}
	write("abcd")
	for _, want := range []string{"a", "b", "c", "d"} {
		wantRead(t, r, want)
	}
	write("efghi")
	if _, got := r.Read(make([]byte, 1)); got != Overrun || r.Position() != 7 {
		t.Fatalf("%v at %d, want Overrun at 7", got, r.Position())
	}
	wantRead(t, r, "h")
	wantRead(t, r, "i")
	if s := r.Stats(); s.Overruns != 1 || s.Lost != 3 {
		t.Errorf("%+v, want 1 overrun, 3 lost", s)
	}
}

// An element counts as overwritten once it is reserved, not only once
// published.
func TestOverrunByReservation(t *testing.T) {
	w, r, _ := startPair(t, 4, 1)
	w.Write([]byte("a"))
	slot, got := r.Next()
	if got != Success || slot[0] != 'a' {
		t.Fatalf("%q, %v", slot, got)
	}
	w.Reserve(4) // begins to overwrite a
	if got := r.Confirm(); got != Overrun || r.Position() != 1 {
		t.Fatalf("%v at %d, want Overrun at 1", got, r.Position())
	}
	wantNext(t, r, NoData)
	w.Publish()
	if r.Ready() != true {
		t.Error("not Ready with four elements pending")
	}
}

func TestReadShorterAndLonger(t *testing.T) {
	w, r, _ := startPair(t, 2, 4)
	w.Write([]byte("abcd"))
	w.Write([]byte("ef"))
	short, long := make([]byte, 2), []byte("------")
	if n, got := r.Read(short); n != 2 || got != Success || string(short) != "ab" {
		t.Errorf("%d, %v, %q", n, got, short)
	}
	if n, got := r.Read(long); n != 4 || got != Success || string(long) != "ef\x00\x00--" {
		t.Errorf("%d, %v, %q", n, got, long)
	}
	if n, got := r.Read(long); n != 0 || got != NoData {
		t.Errorf("%d, %v", n, got)
	}
}

func TestNextRepeatsUntilConfirmed(t *testing.T) {
	w, r, _ := startPair(t, 2, 1)
	if got := r.Confirm(); got != NoData || r.Position() != 0 {
		t.Errorf("Confirm without Next: %v at %d", got, r.Position())
	}
	w.Write([]byte("a"))
	for range 2 {
		if slot, got := r.Next(); got != Success || slot[0] != 'a' || len(slot) != 1 || cap(slot) != 1 {
			t.Fatalf("%q, %v", slot, got)
		}
	}
	if got := r.Confirm(); got != Success {
		t.Error(got)
	}
	if got := r.Confirm(); got != NoData || r.Position() != 1 {
		t.Errorf("second Confirm: %v at %d", got, r.Position())
	}
}

// A writer starts, stops and starts again with another element size.
func TestFollowsWriter(t *testing.T) {
	region := newRegion(HeaderSize + 16)
	w, r := newWriter(t, region), newReader(t, region)
	ready := func(want bool) {
		t.Helper()
		if got := r.Ready(); got != want {
			t.Errorf("Ready: %v, want %v", got, want)
		}
	}
	ready(false)
	wantNext(t, r, Inactive)
	ready(false)
	start(t, w, 2)
	w.Write([]byte("ab"))
	ready(true)
	wantNext(t, r, EpochChanged)
	if r.Epoch() != w.Epoch() || r.Size() != 2 || r.Elements() != 8 || r.Position() != 0 {
		t.Errorf("epoch %#x, %d x %d at %d", uint64(r.Epoch()), r.Elements(), r.Size(), r.Position())
	}
	ready(true)
	wantRead(t, r, "ab")
	ready(false)
	wantNext(t, r, NoData)
	ready(false)

	w.Write([]byte("lost"[:2]))
	w.Stop()
	ready(true)
	wantNext(t, r, Inactive)
	if r.Epoch() != 0 || r.Size() != 0 || r.Elements() != 0 || r.Position() != 0 {
		t.Error("state of the stopped session remains")
	}
	ready(false)

	start(t, w, 8)
	wantNext(t, r, EpochChanged)
	w.Write([]byte("new"))
	start(t, w, 4) // without Stop, and with nothing written: WC is back at 0
	ready(true)
	wantNext(t, r, EpochChanged)
	w.Write([]byte("newe"))
	wantRead(t, r, "newe")
	if s := r.Stats(); s != (ReaderStats{EpochChanges: 3}) {
		t.Errorf("%+v", s)
	}
}

// A restart or stop between Next and Confirm discards the copy.
func TestEpochChangeDuringCopy(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w, r, _ := startPair(t, 2, 1)
		w.Write([]byte("a"))
		if _, got := r.Next(); got != Success {
			t.Fatal(got)
		}
		w.Stop()
		if restart {
			start(t, w, 1)
			w.Write([]byte("b"))
		}
		if got := r.Confirm(); got != EpochChanged {
			t.Errorf("restart %v: %v", restart, got)
		}
		if restart {
			wantNext(t, r, EpochChanged)
			wantRead(t, r, "b")
		} else {
			wantNext(t, r, Inactive)
		}
	}
}

// A writer restarts at each possible moment of a synchronisation. The reader
// never ends up with a mixture of two sessions.
func TestRestartDuringSynchronisation(t *testing.T) {
	for moment := 0; ; moment++ {
		region := newRegion(HeaderSize + 64)
		w, r := startWriter(t, region, 2), newReader(t, region)
		loads := 0
		var got Result
		intercept(func(word) {
			if loads++; loads == moment+1 {
				start(t, w, 32)
			}
		}, nil, func() { _, got = r.Next() })
		if loads <= moment { // past the last load
			break
		}
		if got != EpochChanged {
			t.Errorf("before load %d: %v", moment, got)
		}
		if r.Epoch() == 0 {
			wantNext(t, r, EpochChanged)
		}
		if r.Epoch() != w.Epoch() || r.Size() != 32 || r.Elements() != 2 {
			t.Errorf("before load %d: epoch %#x, %d x %d", moment, uint64(r.Epoch()), r.Elements(), r.Size())
		}
	}
}

// At every moment of an idle Next, too: a WC of 0 is a restart, never a
// protocol error.
func TestRestartDuringIdleNext(t *testing.T) {
	for moment := range 4 {
		w, r, _ := startPair(t, 4, 1)
		w.Write([]byte("a"))
		wantRead(t, r, "a")
		loads := 0
		intercept(func(word) {
			if loads++; loads == moment+1 {
				start(t, w, 1)
			}
		}, nil, func() { r.Next() })
		for range 2 {
			r.Next()
		}
		if r.Epoch() != w.Epoch() || r.Stats().ProtocolErrors != 0 {
			t.Errorf("before load %d: epoch %#x, %+v", moment, uint64(r.Epoch()), r.Stats())
		}
	}
}

func TestReset(t *testing.T) {
	w, r, _ := startPair(t, 4, 1)
	w.Write([]byte("a"))
	w.Write([]byte("b"))
	wantRead(t, r, "a")
	r.Reset()
	if r.Epoch() != 0 || r.Position() != 0 {
		t.Error("still synchronised after Reset")
	}
	wantNext(t, r, EpochChanged)
	wantRead(t, r, "a")
	wantRead(t, r, "b")
}

func TestSkipPending(t *testing.T) {
	region := newRegion(HeaderSize + 5)
	w, r := newWriter(t, region), newReader(t, region)
	if got := r.SkipPending(); got != Inactive {
		t.Errorf("without a writer: %v", got)
	}
	start(t, w, 1)
	w.Write([]byte("a"))
	wantNext(t, r, EpochChanged) // a writer that started later is read from 0
	wantRead(t, r, "a")
	for i := range 13 {
		w.Write([]byte{byte(i)})
	}
	if got := r.SkipPending(); got != Success || r.Position() != 14 {
		t.Errorf("%v at %d, want Success at 14", got, r.Position())
	}
	wantNext(t, r, NoData)
	w.Write([]byte("z"))
	wantRead(t, r, "z")
	if s := r.Stats(); s.Lost != 0 || s.Overruns != 0 {
		t.Errorf("skipped elements were counted: %+v", s)
	}

	w.Stop()
	start(t, w, 1)
	w.Write([]byte("b"))
	if got := r.SkipPending(); got != Success || r.Position() != 1 { // synchronises by itself
		t.Errorf("%v at %d, want Success at 1", got, r.Position())
	}

	poke(region, WCOffset, 0)
	poke(region, WSCOffset, 100)
	if got := r.SkipPending(); got != Incompatible || r.Stats().ProtocolErrors != 1 {
		t.Errorf("WC below the reader: %v, %+v", got, r.Stats())
	}
	if got := r.SkipPending(); got != Incompatible || r.Stats().ProtocolErrors != 1 {
		t.Errorf("again: %v, %+v", got, r.Stats())
	}
	w.Write([]byte("c"))
	if got := r.SkipPending(); got != Success || r.Position() != 2 {
		t.Errorf("counters consistent again: %v at %d", got, r.Position())
	}
}

// If the writer restarts at any moment of SkipPending, its elements are either
// all skipped or read from the first one on.
func TestRestartDuringSkipPending(t *testing.T) {
	for moment := range 9 {
		w, r, _ := startPair(t, 4, 1)
		w.Write([]byte("a"))
		loads := 0
		var got Result
		intercept(func(word) {
			if loads++; loads == moment+1 {
				start(t, w, 1)
				w.Write([]byte("b"))
			}
		}, nil, func() { got = r.SkipPending() })
		switch {
		case got == EpochChanged && r.Epoch() == 0: // during: read from 0
			wantNext(t, r, EpochChanged)
			wantRead(t, r, "b")
		case got == Success && r.Epoch() == w.Epoch(): // before, or not at all
			wantNext(t, r, NoData)
		default:
			t.Errorf("before load %d: %v, epoch %#x, writer's %#x", moment, got, uint64(r.Epoch()), uint64(w.Epoch()))
		}
	}
}

func TestStatsAndReasonAreEmptyAtFirst(t *testing.T) {
	r := newReader(t, newRegion(HeaderSize))
	if r.Stats() != (ReaderStats{}) || r.Reason() != "" || r.Epoch() != 0 {
		t.Error(fmt.Sprint(r.Stats(), r.Reason(), r.Epoch()))
	}
}
