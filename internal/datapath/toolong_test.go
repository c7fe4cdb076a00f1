package datapath

import (
	"bytes"
	"testing"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/offload"
	"github.com/muennet/muennet/internal/packet"
)

// Elements limit packets as a path does. The MTU of a child may be larger.
func TestElementsLimitPackets(t *testing.T) {
	const mtu = 1300
	malformed := ip4(1400, false)
	malformed[3]++ // longer than the packet
	for _, c := range []struct {
		name   string
		p      []byte
		mark   uint32
		pieces int
		limit  int // in the answer; 0: no answer
		counts func(TxCounters) uint64
	}{
		{"fits", ip4(mtu, true), 0, 1, 0, nil},
		{"DF", ip4(mtu+1, true), 0, 0, mtu, func(c TxCounters) uint64 { return c.Faults[element.Oversize] }},
		{"DF of a mark", ip4(1500, true), 9, 0, mtu, func(c TxCounters) uint64 { return c.Faults[element.Oversize] }},
		{"may be cut", ip4(mtu+1, false), 0, 2, 0, nil},
		{"IPv6", ip6(1500), 0, 0, mtu, func(c TxCounters) uint64 { return c.Faults[element.Oversize] }},
		{"malformed", malformed, 0, 0, 0, func(c TxCounters) uint64 { return c.Faults[element.Oversize] }},
		{"shorter path", ip4(1250, true), 1, 0, 1200, func(c TxCounters) uint64 { return c.Reasons[ExceedsPMTU] }},
		{"shorter path than the elements, which are too short as well", ip4(1500, true), 1, 0, 1200,
			func(c TxCounters) uint64 { return c.Faults[element.Oversize] }},
		{"longer path", ip4(1350, true), 2, 0, mtu, func(c TxCounters) uint64 { return c.Faults[element.Oversize] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLimited(t, mtu, table(1200, 1400))
			want := make([]byte, packet.MaxTooBig)
			n, _ := packet.TooBig(want, c.p, c.limit)
			got, answer := l.send(bytes.Clone(c.p), c.mark)
			if len(got) != c.pieces || !bytes.Equal(answer, want[:n]) {
				t.Errorf("%d elements, answer\n%x, want %d,\n%x", len(got), answer, c.pieces, want[:n])
			}
			for _, e := range got {
				if len(e.Data) > mtu || e.Mark != c.mark {
					t.Errorf("an element with %d bytes and mark %d", len(e.Data), e.Mark)
				}
			}
			if counts := l.Counters(); c.counts != nil && (c.counts(counts) != 1 || counts.Dropped != 1) || c.counts == nil && counts.Dropped != 0 {
				t.Errorf("%+v", counts)
			}
		})
	}
}

// Each epoch has its limit. A stopped writer has none.
func TestElementsLimitFollowsTheWriter(t *testing.T) {
	l := newLimited(t, 1000, nil)
	s := l.cfg.Sink
	answered := func(p []byte) bool {
		before := len(l.dev.received())
		l.Outbound.send(p, 0)
		return len(l.dev.received()) > before
	}
	s.Stop()
	if answered(ip4(1500, true)) || l.Counters().Reasons[Inactive] != 1 {
		t.Errorf("an inactive writer: answer, %+v", l.Counters())
	}
	for _, mtu := range []int{1500, 1000} {
		if err := s.Start(element.NetHdr.Size(mtu)); err != nil {
			t.Fatal(err)
		}
		if answered(ip4(1500, true)) != (mtu < 1500) {
			t.Errorf("elements for %d bytes: answer %t", mtu, mtu == 1500)
		}
	}
	// IPv6 needs 1280 bytes: its source cannot be told a lower limit.
	before := l.Counters().Faults[element.Oversize]
	for _, n := range []int{1280, 1281} {
		if answered(ip6(n)) != (n > 1280) {
			t.Errorf("IPv6, %d bytes: answer %t", n, n <= 1280)
		}
	}
	if n := l.Counters().Faults[element.Oversize] - before; n != 2 {
		t.Errorf("IPv6: %d packets counted, want 2", n)
	}
}

// Elements limit the segments of a super-packet, too.
func TestElementsLimitSegments(t *testing.T) {
	c := newCutter(t, element.NetHdr, 1300, 100)
	answers := newFakeDevice()
	c.o.cfg.Answers = NewPort(PortConfig{Device: answers, Skip: offload.HeaderSize, Log: silent})
	var f flow
	fits := f.segments(9, 1300-52, 900)
	c.carry([][]byte{f.super(fits)}, fits, 0)
	long := f.segments(5, 1300-52+1, 900)
	c.dev.send(f.super(long))
	c.o.burst()
	if n := c.o.Counters(); n.Dropped != 4 || n.Faults[element.Oversize] != 4 || len(answers.received()) != 4 {
		t.Errorf("%+v, %d answers; want 4 segments that are too long", n, len(answers.received()))
	}
	c.last++ // the one that fits
	c.carry([][]byte{f.super(fits)}, fits, 0)
}
