package shmstream

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

// Header values that a hostile or broken writer may present, in an otherwise
// valid channel of 4 elements of 10 bytes. The reader expects at least 8 bytes.
var badHeaders = []struct {
	name   string
	offset int
	value  uint64
	reason string
}{
	{"no transport", TransportOffset, 0, "transport is not 0x487312b6b79a9b6d: not a channel"},
	{"other transport", TransportOffset, Transport + 1, "transport is not 0x487312b6b79a9b6d: not a channel"},
	{"other protocol", ProtocolOffset, 0xc, "protocol is 0xc, expected 0x12"},
	{"no protocol", ProtocolOffset, 0, "protocol is 0x0"},
	{"size 0", SizeOffset, 0, "size is 0 bytes, want 8..1048576"},
	{"size below the minimum", SizeOffset, 7, "size is 7 bytes"},
	{"size above 1 MiB", SizeOffset, MaxElementSize + 1, "size is 1048577 bytes"},
	{"size 2^64-1", SizeOffset, math.MaxUint64, "size is 18446744073709551615 bytes"},
	{"size times elements too large", SizeOffset, 11, "elements is 4 of 11 bytes each, want 1..3 in a region of 104 bytes"},
	{"size larger than the data", SizeOffset, 41, "elements is 4 of 41 bytes each, want 1..0"},
	{"elements 0", ElementsOffset, 0, "elements is 0 of 10 bytes each, want 1..4"},
	{"one element too many", ElementsOffset, 5, "elements is 5"},
	{"elements 2^32", ElementsOffset, 1 << 32, "elements is 4294967296"},
	{"product overflows to 0", ElementsOffset, 1 << 63, "elements is 9223372036854775808"},
	{"product overflows to 4", ElementsOffset, (math.MaxUint64)/10 + 1, "elements is 1844674407370955162"},
	{"elements 2^64-1", ElementsOffset, math.MaxUint64, "elements is 18446744073709551615"},
}

func TestBadHeaderIsRefusedUntilFixed(t *testing.T) {
	for _, bad := range badHeaders {
		t.Run(bad.name, func(t *testing.T) {
			region := newRegion(HeaderSize + 40)
			w := startWriter(t, region, 10)
			w.Write([]byte("0123456789"))
			r, err := NewReader(region, Expect{Protocol: testProtocol, MinSize: 8})
			if err != nil {
				t.Fatal(err)
			}
			good := peek(region, bad.offset)
			poke(region, bad.offset, bad.value)
			for range 3 {
				wantNext(t, r, Incompatible)
				if !strings.Contains(r.Reason(), bad.reason) {
					t.Errorf("reason %q, want %q", r.Reason(), bad.reason)
				}
				if r.Ready() {
					t.Error("Ready although nothing changed")
				}
				if got := r.SkipPending(); got != Incompatible {
					t.Errorf("SkipPending: %v", got)
				}
			}
			poke(region, bad.offset, good) // within the same epoch
			if !r.Ready() {
				t.Error("not Ready although the header was fixed")
			}
			wantNext(t, r, EpochChanged)
			if r.Reason() != "" {
				t.Errorf("reason %q for a valid header", r.Reason())
			}
			wantRead(t, r, "0123456789")
			if s := r.Stats(); s != (ReaderStats{EpochChanges: 1}) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// Once synchronised, a reader uses its own copies.
func TestHeaderChangesAfterSynchronisationAreIgnored(t *testing.T) {
	for _, bad := range badHeaders {
		w, r, region := startPair(t, 4, 10)
		poke(region, bad.offset, bad.value)
		for i := range 9 {
			p := strings.Repeat(string(rune('a'+i)), 10)
			w.Write([]byte(p))
			wantRead(t, r, p)
		}
	}
}

// Counters that no correct writer presents: one protocol error, then silence
// until they are consistent again or the epoch changes.
func TestImpossibleCounters(t *testing.T) {
	type pair struct{ wsc, wc uint64 }
	for name, c := range map[string]struct {
		next, confirm pair // shown to Next and to Confirm by a reader at 2
		reason        string
	}{
		"RC > WC":                {pair{3, 1}, pair{}, "WC went back from 2 to 1"},
		"WC back to 0":           {pair{0, 0}, pair{}, "WC went back from 2 to 0"},
		"WSC < WC":               {pair{3, 4}, pair{3, 4}, "WSC is 3, below WC 4"},
		"WSC 0":                  {pair{4, 4}, pair{0, 4}, "WSC is 0, below WC 4"},
		"WSC behind huge WC":     {pair{0, math.MaxUint64}, pair{3, math.MaxUint64}, "WSC is 3, below WC 18446744073709551615"},
		"WC goes back on resync": {pair{5, 5}, pair{50, 1}, "WC went back from 5 to 1"},
		"WC passes WSC":          {pair{5, 5}, pair{50, 60}, "WSC is 50, below WC 60"},
	} {
		t.Run(name, func(t *testing.T) {
			w, r, region := startPair(t, 4, 1)
			for _, p := range []string{"a", "b"} {
				w.Write([]byte(p))
				wantRead(t, r, p)
			}
			poke(region, WSCOffset, c.next.wsc)
			poke(region, WCOffset, c.next.wc)
			_, got := r.Next()
			if got == Success {
				poke(region, WSCOffset, c.confirm.wsc)
				poke(region, WCOffset, c.confirm.wc)
				got = r.Confirm()
			}
			if got != Incompatible || r.Reason() == "" || !strings.Contains(r.Reason(), c.reason) {
				t.Fatalf("%v, reason %q; want Incompatible, %q", got, r.Reason(), c.reason)
			}
			shown := pair{peek(region, WSCOffset), peek(region, WCOffset)}
			if sane := shown.wsc >= shown.wc && shown.wsc-shown.wc <= 4; r.Ready() != sane {
				t.Errorf("ready %v, counters consistent: %v", r.Ready(), sane)
			} else if !sane {
				for range 3 {
					wantNext(t, r, Incompatible)
					if r.Ready() || r.Stats().ProtocolErrors != 1 || !strings.Contains(r.Reason(), c.reason) {
						t.Errorf("ready %v, %+v, reason %q", r.Ready(), r.Stats(), r.Reason())
					}
				}
				w.Write([]byte("c")) // which stores both
				if !r.Ready() {
					t.Error("not Ready although the counters are consistent again")
				}
				wantNext(t, r, Overrun)
				wantRead(t, r, "c") // but neither a nor b again
				wantNext(t, r, NoData)
			} else {
				// Both have gone back: reading continues with
				// the next element.
				wantNext(t, r, Overrun)
				wantNext(t, r, NoData)
				if r.Position() != shown.wc || r.Reason() != "" {
					t.Errorf("at %d, reason %q; want the end, %d", r.Position(), r.Reason(), shown.wc)
				}
			}
			if s := r.Stats(); s.ProtocolErrors != 1 || s.Overruns != 1 || s.Lost != 0 {
				t.Errorf("%+v", s)
			}
			start(t, w, 1)
			if !r.Ready() {
				t.Error("not Ready although the epoch changed")
			}
			wantNext(t, r, EpochChanged)
			w.Write([]byte("c"))
			wantRead(t, r, "c")
			if r.Reason() != "" {
				t.Errorf("reason %q left over", r.Reason())
			}
		})
	}
}

// Extreme but consistent counters: each overrun advances, and none passes WC.
func TestExtremeCountersOnlyOverrun(t *testing.T) {
	for _, c := range []struct{ wsc, wc, rc uint64 }{
		{math.MaxUint64, math.MaxUint64, math.MaxUint64 - 2},
		{math.MaxUint64, math.MaxUint64 - 1, math.MaxUint64 - 3},
		{math.MaxUint64, 5, 5}, // WSC far away, WC near
		{1 << 63, 1 << 63, 1<<63 - 2},
		{6, 1, 1}, // more reserved than the ring holds
	} {
		_, r, region := startPair(t, 4, 1)
		poke(region, WSCOffset, c.wsc)
		poke(region, WCOffset, c.wc)
		if _, got := r.Read(make([]byte, 1)); got != Overrun || r.Position() != c.rc {
			t.Errorf("WSC %d, WC %d: %v at %d; want Overrun at %d", c.wsc, c.wc, got, r.Position(), c.rc)
		}
		if s := r.Stats(); s.Overruns != 1 || s.Lost != c.rc {
			t.Errorf("WSC %d, WC %d: %+v", c.wsc, c.wc, s)
		}
		for steps := 0; r.Ready(); steps++ {
			if steps > 4 {
				t.Fatalf("WSC %d, WC %d: the reader does not reach the end", c.wsc, c.wc)
			}
			before := r.Position()
			if _, got := r.Read(make([]byte, 1)); got != Success && got != Overrun || r.Position() <= before {
				t.Errorf("%v at %d after %d", got, r.Position(), before)
			}
		}
		wantNext(t, r, NoData)
		if r.Position() != c.wc {
			t.Errorf("at %d, want WC %d", r.Position(), c.wc)
		}
	}
}

// peer runs between any two loads of the reader, as a script says: it pokes
// header words, scribbles over data, and now and then is an honest writer.
type peer struct {
	region []byte
	w      *Writer
	epoch  Epoch
	script []byte
	loads  int
}

func (p *peer) byte() byte {
	if len(p.script) == 0 {
		return 0xff
	}
	b := p.script[0]
	p.script = p.script[1:]
	return b
}

var pokeValues = [...]uint64{
	0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 39, 40, 41, 64, Transport, testProtocol, MaxElementSize, MaxElementSize + 1,
	1<<32 - 1, 1 << 32, 1 << 61, 1 << 63, math.MaxInt64, math.MaxUint64 - 1, math.MaxUint64, math.MaxUint64/10 + 1,
}

func (p *peer) act(word) {
	p.loads++
	op := p.byte()
	offset := int(op>>4) % 8 * 8
	switch op % 16 {
	case 0, 1:
		poke(p.region, offset, pokeValues[int(p.byte())%len(pokeValues)])
	case 2:
		poke(p.region, offset, peek(p.region, offset)+uint64(p.byte()%8))
	case 3:
		poke(p.region, offset, peek(p.region, offset)-uint64(p.byte()%8))
	case 4:
		poke(p.region, offset, peek(p.region, offset)^1<<(p.byte()%64))
	case 5:
		p.region[HeaderSize+int(p.byte())%(len(p.region)-HeaderSize)] = p.byte()
	case 6:
		p.start(1 + int(op>>4))
	case 7, 8:
		if p.w.Active() {
			p.w.Write([]byte{op}[:min(1, p.w.Size())])
		}
	case 9:
		if p.w.Active() {
			p.w.Reserve(p.w.Elements())
			p.w.Publish()
		}
	case 10:
		p.w.Stop()
	}
}

// start makes the peer an honest writer, with epochs that a fuzzer can
// reproduce.
func (p *peer) start(size int) {
	for {
		p.epoch++
		if p.w.Start(WriterConfig{Protocol: testProtocol, Size: size, Epoch: p.epoch}) == nil {
			return
		}
	}
}

// maxLoads bounds the loads of any call of the reader, whatever the peer does.
const maxLoads = 13

// runHostile lets a reader follow a peer and checks what must hold for any
// peer.
func runHostile(t *testing.T, script []byte) {
	region := newRegion(HeaderSize + 40)
	p := &peer{region: region, w: newWriter(t, region), script: script}
	p.start(10)
	r := newReader(t, region)
	first := uintptr(unsafe.Pointer(&region[HeaderSize]))
	buf := make([]byte, 40)
	intercept(p.act, nil, func() {
		for calls := 0; len(p.script) > 0 && calls < 500; calls++ {
			before, epoch, pos, lost := r.Stats(), r.Epoch(), r.Position(), r.lost
			p.loads = 0
			result, outcome := Success, true
			switch call := p.byte() % 8; call {
			default:
				var slot []byte
				slot, result = r.Next()
				if result == Success {
					at := uintptr(unsafe.Pointer(&slot[0]))
					if len(slot) != r.Size() || cap(slot) != r.Size() || at < first || at+uintptr(len(slot)) > first+40 {
						t.Fatalf("slot of %d bytes at offset %d", len(slot), at-first+HeaderSize)
					}
					copy(buf, slot)
					result = r.Confirm()
				}
				stats := r.Stats()
				switch {
				case result == Success && r.Position() != pos+1,
					result == Overrun && stats.Overruns != before.Overruns+1,
					result == Overrun && !lost && r.Position() <= pos,
					result == Overrun && !lost && stats.Lost-before.Lost != r.Position()-pos,
					result == Overrun && lost && stats.Lost-before.Lost != max(r.Position(), pos)-pos,
					stats.Lost-before.Lost > 0 && result != Overrun,
					result == NoData && r.Position() != pos:
					t.Fatalf("%v from %d to %d, %+v to %+v", result, pos, r.Position(), before, stats)
				}
			case 5:
				var n int
				if n, result = r.Read(buf); n != 0 && result != Success {
					t.Fatalf("%d bytes with %v", n, result)
				}
			case 6:
				result = r.SkipPending()
			case 7:
				r.Ready()
				outcome = false
			}
			if p.loads > maxLoads {
				t.Fatalf("%d loads in one call", p.loads)
			}
			if outcome && (r.Reason() != "") != (result == Incompatible) {
				t.Fatalf("%v with reason %q", result, r.Reason())
			}
			same := r.Epoch() != 0 && r.Epoch() == epoch && r.Stats().EpochChanges == before.EpochChanges
			if same && !lost && r.Position() < pos {
				t.Fatalf("RC went back from %d to %d", pos, r.Position())
			}
			if r.Epoch() != 0 && (r.Size() < 1 || r.Elements() < 1 || r.Elements() > 40/r.Size()) {
				t.Fatalf("synchronised with %d x %d in 40 bytes", r.Elements(), r.Size())
			}
		}
	})
	// No state is final. For the current epoch it is enough that the
	// counters become consistent again: the reader delivers what is written
	// after that.
	if e := r.Epoch(); e != 0 {
		const wc = 1000
		written := func(n uint64) {
			poke(region, EpochOffset, uint64(e))
			poke(region, WSCOffset, n)
			poke(region, WCOffset, n)
		}
		written(wc)
		for tries := r.Elements() + 2; ; tries-- {
			if _, got := r.Read(buf); got == NoData {
				break
			}
			if tries == 0 {
				t.Fatalf("counters that are consistent again are not accepted: %s", r.Reason())
			}
		}
		written(wc + 1)
		if _, got := r.Read(buf); got != Success || r.Position() != wc+1 {
			t.Fatalf("%v at %d after the counters became consistent again", got, r.Position())
		}
	}
	// The reader follows an honest writer again. Its epoch is random,
	// because a hostile one may have presented any small number before.
	start(t, p.w, 8)
	for tries := 0; r.Epoch() != p.w.Epoch(); tries++ {
		if tries == 2 {
			t.Fatalf("the reader does not follow an honest writer: %s", r.Reason())
		}
		r.Next()
	}
	p.w.Write([]byte("honest"))
	if n, got := r.Read(buf); got != Success || !bytes.Equal(buf[:n], []byte("honest\x00\x00")) {
		t.Fatalf("from an honest writer: %q, %v", buf[:n], got)
	}
}

func FuzzHostilePeer(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x07\x07\x07\x00\x00\x71\x18\x61\x18\x00\x00"))         // WC, then WSC, to 2^64-1
	f.Add([]byte("\x00\x30\x01\x40\x13\x00\x00\x06\x00\x00\x09\x09\x00\x00")) // Size, Elements
	f.Add([]byte("\x00\x10\x02\x30\x03\x0f\x0f\x0f\x0f\x07\x0a"))             // epoch 2 of size 3, then none
	f.Fuzz(runHostile)
}

func TestHostilePeerAtRandom(t *testing.T) {
	scripts := 20000
	if testing.Short() {
		scripts = 2000
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range scripts {
		script := make([]byte, rng.IntN(200))
		for i := range script {
			script[i] = byte(rng.Uint32())
		}
		runHostile(t, script)
		if t.Failed() {
			t.Fatalf("script %q", script)
		}
	}
}
