package datapath

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/offload"
	"github.com/muennet/muennet/shmstream"
)

// format is the format of the flow's packets.
func (f *flow) format() element.Format {
	if f.eth {
		return element.EthDev
	}
	return element.NetHdr
}

// cutter is an Outbound of a device with a virtio_net_hdr, and its channel. The
// test runs the bursts.
type cutter struct {
	t      *testing.T
	dev    *fakeDevice
	o      *Outbound
	s      *Sender
	region []byte
	format element.Format
	size   int
	last   uint64 // WC that the test expects
}

func newCutter(t *testing.T, format element.Format, mtu, elements int) *cutter {
	t.Helper()
	size := format.Size(mtu)
	c := &cutter{t: t, dev: newFakeDevice(), region: mmapRegion(t, shmstream.HeaderSize+elements*size), format: format, size: size}
	c.s = startSender(t, c.region, format, mtu)
	c.o = NewOutbound(OutboundConfig{Device: c.dev, Sink: c.s, Skip: offload.HeaderSize, Offload: true, Ethernet: format == element.EthDev})
	return c
}

// carry sends frames through the Outbound. Exactly these packets must come out,
// as complete elements.
func (c *cutter) carry(frames [][]byte, want [][]byte, mark uint32) {
	c.t.Helper()
	before := c.o.Counters()
	if mark == 0 {
		c.dev.send(frames...)
		for c.o.burst() > 0 {
		}
	} else { // from a queue of the mark
		for _, frame := range frames {
			c.o.cut(frame, mark)
		}
	}
	h, err := shmstream.ReadHeader(c.region)
	if err != nil {
		c.t.Fatal(err)
	}
	if h.WSC != h.WC || h.WC != c.last+uint64(len(want)) {
		c.t.Fatalf("WSC %d, WC %d after %d packets, want both %d", h.WSC, h.WC, len(want), c.last+uint64(len(want)))
	}
	sent := 0
	for i, p := range want {
		// Nothing of an older packet may be left in the element.
		elem := make([]byte, c.size)
		used, fault := c.format.Encode(elem, p, mark)
		if fault != element.OK {
			c.t.Fatal(fault)
		}
		sent += used
		number := c.last + uint64(i)
		if h.WC-number > h.Elements {
			continue // overwritten
		}
		at := shmstream.HeaderSize + int(number%h.Elements)*c.size
		if got := c.region[at : at+c.size]; !bytes.Equal(got, elem) {
			c.t.Fatalf("element %d, packet %d of %d\n%x\nwant\n%x", number, i, len(want), got, elem)
		}
	}
	c.last = h.WC
	after := c.o.Counters()
	if after.Packets-before.Packets != uint64(len(want)) || after.Bytes-before.Bytes != uint64(sent) || after.Dropped != before.Dropped {
		c.t.Fatalf("counters %+v, before %+v, after %d packets of %d bytes", after, before, len(want), sent)
	}
}

// segments returns n packets. The last has rest bytes of payload.
func (f *flow) segments(n, size, rest int) (packets [][]byte) {
	for range n - 1 {
		packets = append(packets, f.next(size, ack))
	}
	return append(packets, f.next(rest, ackPsh))
}

// Cutting gives the packets that the kernel would have sent without offload, in
// rings of every size.
func TestSuperPacketsAreCut(t *testing.T) {
	eachFlow(t, func(t *testing.T, f flow) {
		for _, elements := range []int{1, 2, 3, 8, 9, 64, 500} {
			c := newCutter(t, f.format(), 1500, elements)
			for _, k := range []struct{ n, size, rest int }{
				{44, 1400, 1399}, {2, 1400, 1}, {1, 1200, 1200}, {60, 1000, 1000}, {17, 1, 1}, {40, 536, 77}, {9, 1333, 2},
			} {
				packets := f.segments(k.n, k.size, k.rest)
				c.carry([][]byte{f.super(packets)}, packets, 0)
			}
		}
	})
}

// One burst has super-packets and whole packets.
func TestWholePacketsAreCompleted(t *testing.T) {
	eachFlow(t, func(t *testing.T, f flow) {
		c := newCutter(t, f.format(), 1500, 600)
		transport, _ := f.headers()
		var frames, want [][]byte
		for i := range 100 {
			complete := f.next(i*13, ack)
			want = append(want, complete)
			switch i % 3 {
			case 0: // like a forwarded packet
				frames = append(frames, append(make([]byte, offload.HeaderSize), complete...))
			case 1: // like a local one
				h := offload.Header{Flags: offload.NeedsCsum, CsumStart: uint16(transport), CsumOffset: uint16(f.check())}
				frames = append(frames, f.unfinished(h, bytes.Clone(complete)))
			case 2:
				packets := f.segments(3, 500, i)
				frames = append(frames, append(make([]byte, offload.HeaderSize), complete...), f.super(packets))
				want = append(want, packets...)
			}
		}
		c.carry(frames, want, 0)
	})
}

// Each element has the mark of its super-packet, and at most what its path
// takes.
func TestMarksOfCutPackets(t *testing.T) {
	const limit = 1400 // of mark 7
	limits := make([]byte, 4*10)
	binary.LittleEndian.PutUint32(limits[4*6:], limit)
	dev := newFakeDevice()
	port := NewPort(PortConfig{Device: dev, Skip: offload.HeaderSize, Merge: true, Log: silent})
	for _, pmtu := range []*PMTU{nil, NewPMTU(limits, silent)} {
		c := newCutter(t, element.NetHdr, 1500, 600)
		c.o.cfg.PMTU, c.o.cfg.Answers = pmtu, port
		var f flow
		for _, mark := range []uint32{1, 0xffffffff, 7} {
			packets := f.segments(30, limit-52, 900)
			c.carry([][]byte{f.super(packets)}, packets, mark)
		}
		if pmtu == nil {
			continue
		}
		packets := f.segments(5, limit-52+1, 900)
		c.o.cut(f.super(packets), 7)
		if n := c.o.Counters(); n.Dropped != 4 || n.Reasons[ExceedsPMTU] != 4 {
			t.Errorf("%+v, want 4 packets that are too long for their path", n)
		}
		answers := dev.received()
		if len(answers) != 4 {
			t.Fatalf("%d answers, want 4", len(answers))
		}
		for _, a := range answers { // ICMP 3/4 behind an empty header
			if !bytes.Equal(a[:offload.HeaderSize], make([]byte, offload.HeaderSize)) || a[10] != 0x45 || a[19] != 1 || a[30] != 3 || a[31] != 4 {
				t.Errorf("answer %x", a)
			}
		}
		c.last++ // the one that fits
		c.carry(nil, nil, 0)
	}
}

// A packet that cannot be cut or is too long is counted. It reserves no element
// and harms no other packet.
func TestBadSuperPackets(t *testing.T) {
	var f flow
	good := f.segments(5, 1400, 3)
	long := f.segments(5, 1449, 1449) // 1501 bytes with the headers
	bad := f.super(f.segments(5, 1400, 1400))
	bad[1] = offload.GSOUDP
	c := newCutter(t, element.NetHdr, 1500, 100)
	for _, test := range []struct {
		name   string
		frame  []byte
		counts func(TxCounters) uint64
	}{
		{"too long", f.super(long), func(n TxCounters) uint64 { return n.Faults[element.Oversize] }},
		{"of no type", bad, func(n TxCounters) uint64 { return n.Reasons[BadOffload] }},
		{"header alone", make([]byte, offload.HeaderSize), func(n TxCounters) uint64 { return n.Faults[element.Empty] }},
	} {
		before := c.o.Counters()
		c.dev.send(test.frame)
		if n := c.o.burst(); n != 1 {
			t.Fatalf("%s: %d packets read", test.name, n)
		}
		after := c.o.Counters()
		if after.Dropped != before.Dropped+1 || test.counts(after) != test.counts(before)+1 || after.Packets != before.Packets {
			t.Errorf("%s: %+v", test.name, after)
		}
		c.carry([][]byte{f.super(good)}, good, 0) // WSC and WC are right
	}
	c.s.Stop()
	c.dev.send(f.super(good))
	c.o.burst()
	if n := c.o.Counters().Reasons[Inactive]; n != 1 {
		t.Errorf("%d packets counted as inactive, want 1", n)
	}
	nowhere := NewOutbound(OutboundConfig{Device: c.dev, Skip: offload.HeaderSize, Offload: true})
	c.dev.send(f.super(good), bad)
	nowhere.burst()
	if n := nowhere.Counters(); n.Reasons[NoChannel] != uint64(len(good)) || n.Reasons[BadOffload] != 1 {
		t.Errorf("without a channel: %+v", n)
	}
}

// A reader that keeps up sees each segment once and in order, when many
// super-packets go through a small ring.
func TestReaderOfCutPackets(t *testing.T) {
	for _, elements := range []int{8, 64} {
		t.Run(fmt.Sprint(elements), func(t *testing.T) {
			c := newCutter(t, element.NetHdr, 1500, elements)
			r, buf := newReader(t, c.region), make([]byte, 2048)
			var f flow
			n := elements / 2
			for round := range 200 {
				packets := f.segments(n, 1000+round, 1+round)
				c.dev.send(f.super(packets))
				c.o.burst()
				for i := 0; i < n; {
					p, result := read(t, r, element.NetHdr, buf)
					switch {
					case result == shmstream.EpochChanged && round == 0:
					case result != shmstream.Success || !bytes.Equal(p.Data, packets[i]):
						t.Fatalf("round %d, packet %d: %v\n%x\nwant\n%x", round, i, result, p.Data, packets[i])
					default:
						i++
					}
				}
			}
		})
	}
}
