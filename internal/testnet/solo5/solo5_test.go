package solo5

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/shmstream"
)

// elements is how many the test channels hold.
const elements = 4

// bench is a peer whose other end is the test.
type bench struct {
	t  *testing.T
	p  *Peer
	in []byte // of the peer
	w  *shmstream.Writer
	r  *shmstream.Reader
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, in: memory()}
	out := memory()
	var err error
	if b.w, err = shmstream.NewWriter(b.in); err != nil {
		t.Fatal(err)
	}
	if b.r, err = shmstream.NewReader(out, shmstream.Expect{Protocol: Protocol, MinSize: element.EthDev.MinSize()}); err != nil {
		t.Fatal(err)
	}
	if b.p, err = New(Config{In: b.in, Out: out, Addr: netip.MustParseAddr("10.0.0.2")}); err != nil {
		t.Fatal(err)
	}
	if _, got := b.r.Next(); got != shmstream.EpochChanged {
		t.Fatalf("outcome %v, want the peer's epoch", got)
	}
	b.start()
	return b
}

func memory() []byte {
	words := make([]uint64, (headerSize+elements*elementSize)/8)
	c := make([]byte, 0, len(words)*8)
	return c[:cap(c)]
}

func (b *bench) start() {
	b.t.Helper()
	if err := b.w.Start(shmstream.WriterConfig{Protocol: Protocol, Size: elementSize}); err != nil {
		b.t.Fatal(err)
	}
}

// write sends frames to the peer.
func (b *bench) write(frames ...[]byte) {
	b.t.Helper()
	for _, f := range frames {
		b.w.Reserve(1)
		used, fault := element.EthDev.Encode(b.w.Slot(0), f, 0)
		if fault != element.OK {
			b.t.Fatal(fault)
		}
		b.w.Fill(0, used)
		b.w.Publish()
	}
}

// read returns what the peer has sent; nil if nothing.
func (b *bench) read() []byte {
	b.t.Helper()
	slot, result := b.r.Next()
	if result == shmstream.NoData {
		return nil
	}
	buf := make([]byte, elementSize)
	packet, fault := element.EthDev.Decode(buf, slot)
	if result = b.r.Confirm(); result != shmstream.Success || fault != element.OK {
		b.t.Fatalf("outcome %v, fault %v", result, fault)
	}
	return packet.Data
}

func (b *bench) steps(want int) {
	b.t.Helper()
	if got := b.p.Step(); got != want {
		b.t.Fatalf("the peer took %d frames, want %d; %+v", got, want, b.p.Stats())
	}
}

func frames(n int) [][]byte {
	return slices.Repeat([][]byte{make([]byte, 60)}, n)
}

func TestReaderReadsAll(t *testing.T) {
	b := newBench(t)
	for range 5 * elements {
		b.write(frames(elements)...)
		b.steps(elements)
		b.steps(0)
	}
	if s := b.p.Stats(); s.Received != 5*elements*elements || s.Epochs != 1 || s.Overruns != 0 {
		t.Errorf("%+v", s)
	}
}

// After one element too many nothing comes until the epoch changes.
func TestOverrunIsForEver(t *testing.T) {
	b := newBench(t)
	b.write(frames(2)...)
	b.steps(2)
	b.write(frames(elements + 1)...)
	for range 10 {
		b.steps(0)
		b.write(frames(1)...)
	}
	if s := b.p.Stats(); !s.Stuck || s.Overruns != 1 || s.Received != 2 {
		t.Fatalf("%+v, want it stuck once", s)
	}
	b.start()
	b.steps(0)
	b.write(frames(3)...)
	b.steps(3)
	if s := b.p.Stats(); s.Stuck || s.Overruns != 1 || s.Epochs != 2 {
		t.Errorf("%+v, want it free", s)
	}
}

// A unikernel that is booted late begins at an element that is long gone.
func TestStuckFromTheBeginning(t *testing.T) {
	b := newBench(t)
	b.write(frames(elements)...)
	b.steps(elements)
	b.write(frames(1)...)
	b.p.Boot()
	b.steps(0)
	if s := b.p.Stats(); !s.Stuck {
		t.Errorf("%+v, want it stuck", s)
	}
	if _, got := b.r.Next(); got != shmstream.EpochChanged {
		t.Errorf("outcome %v, want another epoch of the peer", got)
	}
}

// The call that finds another epoch returns nothing, although there is data.
func TestEpochChangeTakesACall(t *testing.T) {
	b := newBench(t)
	b.write(frames(1)...)
	d := &b.p.device
	if d.receive() != nil || d.stats.Epochs != 1 {
		t.Fatalf("the call that synchronises returned a frame, or did not: %+v", d.stats)
	}
	if d.receive() == nil {
		t.Error("the next call has nothing")
	}
	b.write(frames(1)...)
	b.start() // what was pending is gone
	b.write(frames(1)...)
	if d.receive() != nil || d.receive() == nil || d.receive() != nil {
		t.Error("want nothing, the frame of the new epoch, and nothing")
	}
	b.w.Stop()
	if d.receive() != nil || d.reader.epoch != 0 {
		t.Error("a stopped writer is still followed")
	}
}

func TestHeldPeerReadsNothing(t *testing.T) {
	b := newBench(t)
	b.p.Hold(true)
	b.write(frames(1)...)
	b.steps(0)
	b.p.Hold(false)
	b.steps(1)
}

// What a correct writer never does would have overwritten the original's
// memory.
func TestViolationsAreNoted(t *testing.T) {
	put := func(c channel, at int, value uint64) { c.store(at, value) }
	for _, c := range []struct {
		what, want string
		spoil      func(b *bench, in, out channel)
	}{
		{"length", "a frame of 1515 bytes was copied into 1514", func(b *bench, in, _ channel) {
			b.write(frames(1)...)
			binary.LittleEndian.PutUint16(in[headerSize+frameSize:], frameSize+1)
		}},
		{"size", "an element of 1517 bytes was copied into 1516", func(b *bench, in, _ channel) {
			put(in, sizeAt, elementSize+1)
			b.write(frames(1)...)
		}},
		{"elements", "element 4 of 1516 bytes lies outside of the channel", func(b *bench, in, _ channel) {
			put(in, elementsAt, 1000)
			b.write(frames(elements + 1)...)
		}},
		{"out", "the out-channel has become one of 4 elements of 2000 bytes", func(b *bench, _, out channel) {
			put(out, sizeAt, 2000)
			b.p.Send(make([]byte, 60))
		}},
	} {
		b := newBench(t)
		c.spoil(b, b.in, b.p.device.out)
		b.p.Step()
		if got := b.p.Violations(); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: violations %q, want %q", c.what, got, c.want)
		}
	}
	b := newBench(t)
	b.write(make([]byte, frameSize), make([]byte, 14))
	b.steps(2)
	if got := b.p.Violations(); len(got) != 0 {
		t.Errorf("violations %q of a correct writer", got)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Frames as Linux sends them from 10.0.0.1, and the answers as RFC 826, 792 and
// 768 have them.
func TestAnswers(t *testing.T) {
	const me, you = "025010050001", "020000000099"
	for _, c := range []struct{ what, ask, want string }{
		{"ARP",
			"ffffffffffff" + you + "0806 0001 0800 06 04 0001" + you + "0a000001 000000000000 0a000002",
			you + me + "0806 0001 0800 06 04 0002" + me + "0a000002" + you + "0a000001"},
		{"ARP for another", "ffffffffffff" + you + "0806 0001 0800 06 04 0001" + you + "0a000001 000000000000 0a000003", ""},
		{"ping",
			me + you + "0800 4500001d 12344000 400114aa 0a000001 0a000002 0800 9ffd 0001 0001 58",
			you + me + "0800 4500001d 12344000 400114aa 0a000002 0a000001 0000 a7fd 0001 0001 58"},
		{"ping with a wrong checksum", me + you + "0800 4500001d 12344000 400114aa 0a000001 0a000002 0800 9ffc 0001 0001 58", ""},
		{"ping of another", "020000000001" + you + "0800 4500001d 12344000 400114aa 0a000001 0a000002 0800 9ffd 0001 0001 58", ""},
		{"UDP",
			me + you + "0800 4500001e 00004000 401126cd 0a000001 0a000002 1000 0007 000a 8cd0 4f 00",
			you + me + "0800 4500001e 00004000 401126cd 0a000002 0a000001 0007 1000 000a 8cd0 4f 00"},
		{"UDP without a checksum",
			me + you + "0800 4500001e 00004000 401126cd 0a000001 0a000002 1000 0007 000a 0000 4f 00",
			you + me + "0800 4500001e 00004000 401126cd 0a000002 0a000001 0007 1000 000a 8cd0 4f 00"},
		{"fragment", me + you + "0800 4500001d 12342000 400134aa 0a000001 0a000002 0800 9ffd 0001 0001 58", ""},
		{"IPv6", me + you + "86dd 60000000", ""},
	} {
		b := newBench(t)
		b.write(unhex(t, c.ask))
		b.steps(1)
		if got, want := b.read(), unhex(t, c.want); !bytes.Equal(got, want) {
			t.Errorf("%s: answer %x, want %x", c.what, got, want)
		}
	}
}

// No frame, whatever is in it, makes the host fail.
func FuzzAnswer(f *testing.F) {
	f.Add(make([]byte, 14))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x99\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01"))
	h := host{mac: []byte{2, 0x50, 0x10, 5, 0, 1}, addr: netip.MustParseAddr("10.0.0.2")}
	f.Fuzz(func(t *testing.T, frame []byte) {
		n := len(frame)
		if answer := h.answer(frame); answer != nil && (len(answer) != n || !bytes.Equal(answer[6:12], h.mac)) {
			t.Fatalf("answer %x", answer)
		}
	})
}

func TestNewRefusesMemory(t *testing.T) {
	good := memory()
	for _, c := range []Config{{In: good[:100], Out: good}, {In: good, Out: good[:0]}, {In: good[4:], Out: good}} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), "boot solo5 peer: channel") {
			t.Errorf("error %v", err)
		}
	}
}
