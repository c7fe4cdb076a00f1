package datapath

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/packet"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/shmstream"
)

// limited is an Outbound with path MTUs. Its packets come from queues of their
// marks, its elements are made for an MTU.
type limited struct {
	*Outbound
	t   testing.TB
	q   *fakeQueues
	dev *fakeDevice // receives the answers
	r   *shmstream.Reader
	buf []byte
}

func newLimited(t testing.TB, mtu int, table []byte) *limited {
	t.Helper()
	channel := mmapRegion(t, 1<<20)
	q, dev := newFakeQueues(t), newFakeDevice()
	m := q.newMarks()
	t.Cleanup(m.close)
	port := NewPort(PortConfig{Device: dev, Log: silent})
	o := NewOutbound(OutboundConfig{Device: q, Marks: m, Sink: startSender(t, channel, element.NetHdr, mtu), PMTU: NewPMTU(table, silent), Answers: port})
	l := &limited{Outbound: o, t: t, q: q, dev: dev, r: newReader(t, channel), buf: make([]byte, 1<<16)}
	if _, result := l.r.Next(); result != shmstream.EpochChanged {
		t.Fatal(result)
	}
	return l
}

// send sends a packet and returns the elements that result, and the answer to
// its source, if any.
func (l *limited) send(p []byte, mark uint32) (elements []element.Packet, answer []byte) {
	l.t.Helper()
	before := len(l.dev.received())
	l.q.send(mark, p)
	l.burst()
	for {
		e, result := read(l.t, l.r, element.NetHdr, l.buf)
		if result == shmstream.NoData {
			break
		}
		e.Data = bytes.Clone(e.Data)
		elements = append(elements, e)
	}
	if got := l.dev.received(); len(got) > before {
		answer = got[before]
	}
	return elements, answer
}

// table returns a region of path MTUs.
func table(entries ...uint32) []byte {
	words := make([]uint32, len(entries))
	copy(words, entries)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), 4*len(words))
}

// ip4 returns an IPv4 packet of n bytes, which may be fragmented unless df is
// set.
func ip4(n int, df bool) []byte {
	p := ip(n, 3)
	p[1], p[6], p[7], p[8], p[9] = 0xb8, 0, 0, 64, 17
	if df {
		p[6] = 0x40
	}
	copy(p[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	p[10], p[11] = 0, 0
	binary.BigEndian.PutUint16(p[10:], packet.Checksum(p[:20], 0))
	return p
}

func ip6(n int) []byte {
	p := make([]byte, n)
	p[0], p[6], p[7] = 0x60, 17, 64
	binary.BigEndian.PutUint16(p[4:], uint16(n-40))
	p[8], p[9], p[23] = 0xfd, 1, 1
	p[24], p[25], p[39] = 0xfd, 1, 2
	return p
}

func TestPMTULimits(t *testing.T) {
	tests := []struct {
		entry         uint32
		least, least6 int // the limit that results; 0: none
	}{
		{0, 0, 0}, {27, 68, 1280}, {68, 68, 1280}, {1000, 1000, 1280}, {1280, 1280, 1280},
		{1281, 1281, 1281}, {8999, 8999, 8999}, {65535, 0, 0}, {1 << 31, 0, 0},
	}
	var entries []uint32
	for _, test := range tests {
		entries = append(entries, test.entry)
	}
	l := newLimited(t, 9000, table(entries...))
	for i, test := range tests {
		mark := uint32(i + 1)
		for _, v := range []struct {
			limit   int
			make    func(n int) []byte
			refused bool
		}{
			{test.least, func(n int) []byte { return ip4(n, false) }, false},
			{test.least, func(n int) []byte { return ip4(n, true) }, true},
			{test.least6, ip6, true},
		} {
			fits := v.limit
			if fits == 0 {
				fits = 9000
			}
			p := v.make(fits)
			if got, answer := l.send(p, mark); len(got) != 1 || !bytes.Equal(got[0].Data, p) || got[0].Mark != mark || answer != nil {
				t.Errorf("entry %d: a packet of %d bytes becomes %d elements, answer %x", test.entry, fits, len(got), answer)
			}
			if v.limit == 0 {
				continue
			}
			p = v.make(v.limit + 1)
			got, answer := l.send(p, mark)
			switch {
			case v.refused:
				if want := make([]byte, packet.MaxTooBig); len(got) > 0 || answer == nil {
					t.Errorf("entry %d: a packet of %d bytes becomes %d elements, answer %x", test.entry, len(p), len(got), answer)
				} else if n, _ := packet.TooBig(want, p, v.limit); !bytes.Equal(answer, want[:n]) {
					t.Errorf("entry %d: answer\n%x, want\n%x", test.entry, answer, want[:n])
				}
			case len(got) != 2 || answer != nil:
				t.Errorf("entry %d: a packet of %d bytes becomes %d elements, answer %x", test.entry, len(p), len(got), answer)
			default:
				for _, e := range got {
					if len(e.Data) > v.limit || e.Mark != mark || e.Data[1] != 0xb8 {
						t.Errorf("entry %d: a piece of %d bytes with mark %d, type of service %#x", test.entry, len(e.Data), e.Mark, e.Data[1])
					}
				}
			}
		}
	}
	if c := l.Counters(); c.Reasons[ExceedsPMTU] != 12 || c.Dropped != 12 {
		t.Errorf("counters %+v; want 12 refused packets", c)
	}
}

func TestPMTUOfOtherMarks(t *testing.T) {
	l := newLimited(t, 9000, append(table(68, 68), 0, 1, 2)) // not even a whole entry
	for _, mark := range []uint32{0, 3, 1 << 31, 0xffffffff} {
		for _, p := range [][]byte{ip4(1500, false), ip4(1500, true), ip6(1500)} {
			if got, answer := l.send(p, mark); len(got) != 1 || !bytes.Equal(got[0].Data, p) || answer != nil {
				t.Errorf("mark %#x: %d elements, answer %x", mark, len(got), answer)
			}
		}
	}
	if got, _ := newLimited(t, 9000, nil).send(ip6(1500), 1); len(got) != 1 {
		t.Errorf("an empty table: %d elements", len(got))
	}
}

// A malformed packet cannot be fragmented, and its source cannot be told.
func TestPMTUDropsMalformedPackets(t *testing.T) {
	l := newLimited(t, 9000, table(100))
	short := ip4(200, false)
	short[3]++ // longer than the packet
	got, answer := l.send(short, 1)
	if c := l.Counters(); len(got) > 0 || answer != nil || c.Reasons[ExceedsPMTU] != 1 {
		t.Errorf("%d elements, answer %x, counters %+v", len(got), answer, c)
	}
}

func TestPMTUFollowsTheTable(t *testing.T) {
	entries := table(0)
	l := newLimited(t, 9000, entries)
	for i, want := range []int{1, 2, 1, 4, 2} {
		binary.NativeEndian.PutUint32(entries, []uint32{0, 1400, 1500, 500, 1499}[i])
		if got, _ := l.send(ip4(1500, false), 1); len(got) != want {
			t.Errorf("step %d: %d elements, want %d", i, len(got), want)
		}
	}
}

// A table that has shrunk is no limit, and does no harm.
func TestPMTURegionShrinks(t *testing.T) {
	dir := t.TempDir()
	if err := region.Create(dir, "pmtu", 1<<16, region.DefaultMode); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pmtu")
	if err := os.WriteFile(file, bytes.Repeat(table(100), 1<<14), 0); err != nil {
		t.Fatal(err)
	}
	r, err := region.Open(dir, "pmtu", region.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	l := newLimited(t, 9000, r.Bytes())
	const last = 1 << 14
	for i, size := range []int64{1 << 16, 4096, 0, 1 << 16} {
		if err := os.Truncate(file, size); err != nil {
			t.Fatal(err)
		}
		want := 1
		if i == 0 {
			want = 2
		}
		if got, _ := l.send(ip4(150, false), last); len(got) != want {
			t.Errorf("table of %d bytes: %d elements, want %d", size, len(got), want)
		}
	}
}

func TestPMTUDoesNotAllocate(t *testing.T) {
	l := newLimited(t, 9000, table(600, 600))
	long, refused := ip4(1500, false), ip4(1500, true)
	cut := make([]byte, len(long))
	l.dev.refuse = errRefused // otherwise it would keep them
	if n := testing.AllocsPerRun(100, func() {
		copy(cut, long) // cutting changes it
		l.Outbound.send(cut, 1)
		l.Outbound.send(refused, 2)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if c := l.Counters(); c.Packets != 101*3 || c.Reasons[ExceedsPMTU] != 101 {
		t.Errorf("counters %+v", c)
	}
}
