package shmstream

import (
	"fmt"
	"strings"
	"testing"
)

// faulting runs f and lets its n-th access to a header word (from 0) fault, as
// an access to truncated memory does. It returns false if f makes fewer
// accesses.
func faulting(n int, f func()) (faulted bool) {
	defer func() { faulted = recover() == errGone }()
	fault := func(word) {
		if n--; n < 0 {
			panic(errGone)
		}
	}
	intercept(fault, fault, f)
	return false
}

var errGone = fmt.Errorf("the memory is gone")

// Whichever access faults, the Writer stays usable: it can be stopped and
// restarted and, if still active, written to, and readers get what it writes
// then.
func TestWriterFaults(t *testing.T) {
	calls := map[string]func(*Writer){
		"Start":   func(w *Writer) { _ = w.Start(WriterConfig{Protocol: testProtocol, Size: 100}) },
		"Renew":   func(w *Writer) { w.Renew(0) },
		"Stop":    func(w *Writer) { w.Stop() },
		"Write":   func(w *Writer) { w.Write([]byte("lost")) },
		"Reserve": func(w *Writer) { w.Reserve(2); w.Publish() },
		"Damaged": func(w *Writer) { w.Damaged() },
	}
	for name, call := range calls {
		n := 0
		for ; ; n++ {
			region := newRegion(HeaderSize + 4*100)
			w := newWriter(t, region)
			start(t, w, 100)
			w.Write([]byte("before"))
			if !faulting(n, func() { call(w) }) {
				break
			}
			ended := name == "Start" && n > 0 || name == "Renew" || name == "Stop"
			if w.Active() == ended {
				t.Errorf("%s, access %d: active %v", name, n, w.Active())
			}
			if !ended {
				w.Write([]byte("after")) // must not panic
			}
			if !faulting(0, func() { w.Stop() }) || w.Active() {
				t.Errorf("%s, access %d: still active after a Stop that faults, too", name, n)
			}
			w.Stop()
			start(t, w, 100)
			r := newReader(t, region)
			wantNext(t, r, EpochChanged)
			w.Write([]byte("good"))
			wantRead(t, r, "good"+strings.Repeat("\x00", 96))
		}
		if n == 0 {
			t.Errorf("%s never accesses the header", name)
		}
	}
}

// Elements of an abandoned reservation are not delivered, and do not disturb
// later ones.
func TestReservationIsGivenUp(t *testing.T) {
	region := newRegion(HeaderSize + 4*100)
	w := newWriter(t, region)
	start(t, w, 100)
	r := newReader(t, region)
	wantNext(t, r, EpochChanged)
	for i := range 4 {
		w.Write([]byte{'a' + byte(i)})
	}
	for _, c := range []string{"a", "b"} {
		wantRead(t, r, c+strings.Repeat("\x00", 99))
	}
	w.Reserve(3)
	for i := range 3 {
		copy(w.Slot(i), strings.Repeat("torn", 25))
	}
	w.Reserve(1) // after a fault
	w.Fill(0, copy(w.Slot(0), "e"))
	w.Publish()
	// The slot of c was overwritten, by a reservation of more than one
	// element.
	slot, got := r.Next()
	if got != Success || r.Confirm() != Overrun {
		t.Fatalf("%v: %q was delivered", got, slot)
	}
	for {
		buf := make([]byte, 100)
		n, got := r.Read(buf)
		if got == NoData {
			break
		}
		if got == Success && strings.Contains(string(buf[:n]), "torn") {
			t.Fatalf("delivered %q", buf[:n])
		}
	}
	for range 4 {
		w.Write([]byte("short"))
		wantRead(t, r, "short"+strings.Repeat("\x00", 95))
	}
}

// Renew starts a new session for readers and leaves the elements alone.
func TestRenew(t *testing.T) {
	region := newRegion(HeaderSize + 4*100)
	w := newWriter(t, region)
	w.Renew(0)
	if w.Active() || peek(region, EpochOffset) != 0 {
		t.Error("Renew started an inactive writer")
	}
	start(t, w, 100)
	r := newReader(t, region)
	wantNext(t, r, EpochChanged)
	for range 6 {
		w.Write([]byte(strings.Repeat("x", 100)))
	}
	first := w.Epoch()
	w.Renew(first + 1)
	if w.Epoch() != first+1 || peek(region, EpochOffset) != uint64(first+1) || w.Written() != 0 || w.Damaged() {
		t.Errorf("epoch %#x after %#x, %d written", w.Epoch(), first, w.Written())
	}
	if string(region[HeaderSize:HeaderSize+100]) != strings.Repeat("x", 100) {
		t.Error("elements were touched")
	}
	wantNext(t, r, EpochChanged)
	wantNext(t, r, NoData)
	w.Write([]byte("short"))
	wantRead(t, r, "short"+strings.Repeat("\x00", 95))
	poke(region, EpochOffset, uint64(w.Epoch()+1))
	w.Renew(w.Epoch() + 1) // readers may already have seen that epoch
	if e := w.Epoch(); e == 0 || e == first+1 || e == first+2 {
		t.Errorf("epoch %#x", e)
	}
}

// The writer detects a change of any word by something else, and a new epoch
// recovers its readers.
func TestDamage(t *testing.T) {
	for _, offset := range []int{TransportOffset, EpochOffset, ProtocolOffset, SizeOffset, ElementsOffset, WSCOffset, WCOffset} {
		w, r, region := startPair(t, 4, 1)
		w.Write([]byte("a"))
		wantRead(t, r, "a")
		if w.Damaged() {
			t.Fatal("damaged by its own writes")
		}
		poke(region, offset, peek(region, offset)+7)
		for range 3 {
			r.Next() // a reader that is misled
			r.Confirm()
		}
		if !w.Damaged() {
			t.Errorf("word at %d: damage not detected", offset)
		}
		w.Renew(0)
		w.Write([]byte("b"))
		wantNext(t, r, EpochChanged)
		wantRead(t, r, "b")
		w.Stop()
		if w.Damaged() {
			t.Error("an inactive writer reports damage")
		}
	}
}
