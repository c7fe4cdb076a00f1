package shmstream

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestStartWritesHeaderAndClearsRegion(t *testing.T) {
	region := newRegion(HeaderSize + 10*3 + 2) // two bytes belong to no element
	for i := range region {
		region[i] = 0xa5
	}
	w := newWriter(t, region)
	if w.Active() || w.Epoch() != 0 || w.Elements() != 0 || w.Size() != 0 {
		t.Error("a new writer is not inactive")
	}
	if err := w.Start(WriterConfig{Protocol: 0xabc, Size: 3, Epoch: 7}); err != nil {
		t.Fatal(err)
	}
	got, err := ReadHeader(region)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Header{Transport: Transport, Epoch: 7, Protocol: 0xabc, Size: 3, Elements: 10}); got != want {
		t.Errorf("header %+v, want %+v", got, want)
	}
	if !bytes.Equal(region[HeaderSize:], make([]byte, 32)) {
		t.Errorf("data of an older session remains: %x", region[HeaderSize:])
	}
	if !w.Active() || w.Epoch() != 7 || w.Elements() != 10 || w.Size() != 3 || w.Written() != 0 {
		t.Errorf("active %v, epoch %d, %d x %d, written %d", w.Active(), w.Epoch(), w.Elements(), w.Size(), w.Written())
	}
}

// At no moment of a start may a reader see a non-zero epoch unless the header
// is completely that of the old or of the new session.
func TestStartOrder(t *testing.T) {
	region := newRegion(HeaderSize + 16)
	w := startWriter(t, region, 2)
	w.Write([]byte("xy"))
	old := string(region)
	var during []word
	check := func(i word) {
		during = append(during, i)
		switch epoch := peek(region, EpochOffset); {
		case epoch == 0:
		case len(during) == 1 && string(region) == old:
		default:
			t.Errorf("store %d (word %d): epoch %#x is visible during the start", len(during), i, epoch)
		}
	}
	intercept(nil, check, func() { start(t, w, 4) })
	if n := len(during); n < 2 || during[0] != wordEpoch || during[n-1] != wordEpoch {
		t.Errorf("stores %v: want Epoch first and last", during)
	}
}

func TestStartErrorsLeaveRegionUntouched(t *testing.T) {
	region := newRegion(HeaderSize + 100)
	w := startWriter(t, region, 10)
	w.Write([]byte("content"))
	before, epoch := string(region), w.Epoch()
	for want, cfg := range map[string]WriterConfig{
		"protocol is 0":                      {Size: 10},
		"element size is 0 bytes":            {Protocol: 1},
		"element size is -1 bytes":           {Protocol: 1, Size: -1},
		"element size is 1048577 bytes":      {Protocol: 1, Size: MaxElementSize + 1},
		"region of 164 bytes holds no eleme": {Protocol: 1, Size: 101},
		"is that of the previous session":    {Protocol: 1, Size: 10, Epoch: epoch},
	} {
		if err := w.Start(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Start(%+v): %v, want %q", cfg, err, want)
		}
	}
	if string(region) != before || w.Epoch() != epoch || w.Written() != 1 || !w.Active() {
		t.Error("a refused Start changed something")
	}
	if err := newWriter(t, newRegion(HeaderSize)).Start(WriterConfig{Protocol: 1, Size: 1}); err == nil {
		t.Error("Start in a region that is only a header: no error")
	}
	if err := newWriter(t, newRegion(HeaderSize+MaxElementSize)).Start(WriterConfig{Protocol: 1, Size: MaxElementSize}); err != nil {
		t.Errorf("Start with the largest element: %v", err)
	}
}

func TestEpochsDiffer(t *testing.T) {
	region := newRegion(HeaderSize + 8)
	seen := map[Epoch]bool{0: true}
	w := newWriter(t, region)
	for range 100 {
		start(t, w, 1)
		if seen[w.Epoch()] {
			t.Fatalf("epoch %#x twice", uint64(w.Epoch()))
		}
		seen[w.Epoch()] = true
	}
	// A new process finds the epoch of a dead one in memory.
	if err := newWriter(t, region).Start(WriterConfig{Protocol: 1, Size: 1, Epoch: w.Epoch()}); err == nil {
		t.Error("the epoch of the former writer was accepted")
	}
	// The writer also remembers its own epoch when that is gone from
	// memory.
	w.Stop()
	if err := w.Start(WriterConfig{Protocol: 1, Size: 1, Epoch: w.Epoch()}); err == nil {
		t.Error("the writer's own last epoch was accepted")
	}
}

func TestStop(t *testing.T) {
	region := newRegion(HeaderSize + 8)
	startWriter(t, region, 1) // a writer that dies
	w := newWriter(t, region)
	w.Stop()
	if got := peek(region, EpochOffset); got != 0 {
		t.Errorf("epoch %#x after Stop of a session of a dead writer", got)
	}
	start(t, w, 1)
	w.Reserve(3)
	w.Stop()
	w.Stop()
	if got := peek(region, EpochOffset); got != 0 || w.Active() {
		t.Errorf("epoch %#x, active %v after Stop", got, w.Active())
	}
	start(t, w, 1)
	if w.Reserve(8); len(w.Slot(7)) != 1 {
		t.Error("a reservation survived Stop")
	}
}

func TestCountersOfBatches(t *testing.T) {
	w, r, region := startPair(t, 8, 2)
	total := uint64(0)
	for k := 1; k <= 8; k++ {
		w.Reserve(k)
		if wsc, wc := peek(region, WSCOffset), peek(region, WCOffset); wsc != total+uint64(k) || wc != total {
			t.Fatalf("after Reserve(%d): WSC %d, WC %d; want %d, %d", k, wsc, wc, total+uint64(k), total)
		}
		wantNext(t, r, NoData)
		for i := range k {
			want := HeaderSize + int(total+uint64(i))%8*2
			slot := w.Slot(i)
			if &slot[0] != &region[want] || len(slot) != 2 || cap(slot) != 2 {
				t.Fatalf("Slot(%d) of a batch of %d after %d is not element at offset %d", i, k, total, want)
			}
			copy(slot, fmt.Sprintf("%d%d", k, i))
			w.Fill(i, 2)
		}
		w.Publish()
		total += uint64(k)
		if wsc, wc := peek(region, WSCOffset), peek(region, WCOffset); wsc != total || wc != total || w.Written() != total {
			t.Fatalf("after Publish: WSC %d, WC %d, Written %d; want %d", wsc, wc, w.Written(), total)
		}
		for i := range k {
			wantRead(t, r, fmt.Sprintf("%d%d", k, i))
		}
		wantNext(t, r, NoData)
	}
	w.Publish() // nothing reserved: no effect
	if w.Written() != total || peek(region, WCOffset) != total {
		t.Error("Publish without a reservation counted something")
	}
}

// After content of any lengths in any order, the bytes after it are zero.
func TestStaleTailIsCleared(t *testing.T) {
	for _, size := range []int{1, 2, 63, 64, 65, 100, 200} {
		w, _, region := startPair(t, 3, size)
		for round := range 50 {
			n := (round * round * 7) % (size + 1)
			k := round%3 + 1
			first := int(w.Written()) % 3
			w.Reserve(k)
			for i := range k {
				copy(w.Slot(i), bytes.Repeat([]byte{0xff}, n))
				w.Fill(i, n)
			}
			w.Publish()
			for i := range k {
				elem := region[HeaderSize+(first+i)%3*size:][:size]
				want := append(bytes.Repeat([]byte{0xff}, n), make([]byte, size-n)...)
				if !bytes.Equal(elem, want) {
					t.Fatalf("size %d, round %d, %d bytes: %x", size, round, n, elem)
				}
			}
		}
		w.Write(bytes.Repeat([]byte{0xee}, size)[:size/2])
	}
}

// The Ethernet element has its length in its last bytes.
func TestFillKeepsTrailer(t *testing.T) {
	w, r, _ := startPair(t, 1, 66)
	for _, n := range []int{64, 20, 0, 40} {
		w.Reserve(1)
		slot := w.Slot(0)
		copy(slot, strings.Repeat("x", n))
		copy(slot[64:], "TT")
		w.Fill(0, n)
		w.Publish()
		wantRead(t, r, strings.Repeat("x", n)+strings.Repeat("\x00", 64-n)+"TT")
	}
}

func TestRestartForgetsLengths(t *testing.T) {
	for _, size := range []int{100, 100, 80} { // same table, then another
		region := newRegion(HeaderSize + 200)
		w := startWriter(t, region, 100)
		w.Write(bytes.Repeat([]byte{1}, 100))
		start(t, w, size)
		// If the old length were remembered, Fill would clear more than
		// needed: harmless, but not the state that Start promises.
		w.Reserve(1)
		w.Slot(0)[50] = 9
		w.Fill(0, 10)
		if w.Slot(0)[50] != 9 {
			t.Errorf("size %d: Start kept a length of an older session", size)
		}
	}
}

func TestWriterMisusePanics(t *testing.T) {
	region := newRegion(HeaderSize + 200)
	w := newWriter(t, region)
	wantPanic(t, "Reserve before Start", func() { w.Reserve(1) })
	wantPanic(t, "Write before Start", func() { w.Write(nil) })
	start(t, w, 100)
	before := string(region)
	wantPanic(t, "Reserve(0)", func() { w.Reserve(0) })
	wantPanic(t, "Reserve(-1)", func() { w.Reserve(-1) })
	wantPanic(t, "Reserve of more than the ring", func() { w.Reserve(3) })
	wantPanic(t, "Write longer than an element", func() { w.Write(make([]byte, 101)) })
	wantPanic(t, "Slot without reservation", func() { w.Slot(0) })
	wantPanic(t, "Fill without reservation", func() { w.Fill(0, 0) })
	if string(region) != before {
		t.Error("a refused call changed the region")
	}
	w.Reserve(1)
	wantPanic(t, "Slot(1) of 1", func() { w.Slot(1) })
	wantPanic(t, "Slot(-1)", func() { w.Slot(-1) })
	wantPanic(t, "Fill beyond the element", func() { w.Fill(0, 101) })
	wantPanic(t, "Fill(-1)", func() { w.Fill(0, -1) })
	w.Publish()
	w.Stop()
	wantPanic(t, "Reserve after Stop", func() { w.Reserve(1) })
}

func TestNoAllocations(t *testing.T) {
	w, r, region := startPair(t, 4, 100)
	p, q := make([]byte, 70), make([]byte, 100)
	check := func(what string, f func()) {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	check("write and read", func() {
		w.Write(p)
		if _, got := r.Read(q); got != Success {
			t.Fatal(got)
		}
	})
	check("overrun", func() {
		w.Reserve(4)
		w.Publish()
		w.Write(p)
		if _, got := r.Read(q); got != Overrun {
			t.Fatal(got)
		}
		if got := r.SkipPending(); got != Success {
			t.Fatal(got)
		}
	})
	i := uint64(0)
	check("a header that is bad in a different way each time", func() {
		i++
		poke(region, EpochOffset, i)
		poke(region, ElementsOffset, i<<32)
		if _, got := r.Next(); got != Incompatible {
			t.Fatal(got)
		}
	})
}
