package datapath

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/offload"
	"github.com/muennet/muennet/internal/testnet"
)

// merger is an Inbound of a device with a virtio_net_hdr, and its peer. The
// test runs the bursts.
type merger struct {
	t      *testing.T
	dev    *fakeIncoming
	port   *Port
	in     *Inbound
	peer   *Sender
	format element.Format
	log    bytes.Buffer
}

func newMerger(t *testing.T, format element.Format, change func(*InboundConfig)) *merger {
	t.Helper()
	m := &merger{t: t, dev: new(fakeIncoming), format: format}
	log := slog.New(slog.NewTextHandler(&m.log, nil))
	region := mmapRegion(t, 1<<20)
	m.peer = startSender(t, region, format, 1500)
	m.port = NewPort(PortConfig{Device: m.dev, Marks: m.dev, Skip: offload.HeaderSize, Merge: true, Log: log})
	cfg := InboundConfig{Port: m.port, Region: region, Format: format, Protocol: testProtocol, Poll: time.Millisecond,
		Log: log, OnPeer: func(bool) {}, OnFault: func(err error) { t.Errorf("fault: %v", err) }}
	if change != nil {
		change(&cfg)
	}
	var err error
	if m.in, err = NewInbound(cfg); err != nil {
		t.Fatal(err)
	}
	if err := m.in.Resume(); err != nil {
		t.Fatal(err)
	}
	m.in.burst() // finds the epoch
	return m
}

// receive has the peer send packets and returns the frames and marks that the
// device gets.
func (m *merger) receive(packets [][]byte, marks ...uint32) (frames [][]byte, got []uint32) {
	m.t.Helper()
	m.dev.got, m.dev.marks = nil, nil
	for i, p := range packets {
		var mark uint32
		if len(marks) > 0 {
			mark = marks[i%len(marks)]
		}
		m.peer.send(p, mark, new(TxCounters))
	}
	for {
		if moved, _, _ := m.in.burst(); moved == 0 {
			return m.dev.got, m.dev.marks
		}
	}
}

// apart returns the packets in frames.
func (m *merger) apart(frames [][]byte) (packets [][]byte) {
	m.t.Helper()
	for _, f := range frames {
		packets = append(packets, apart(m.t, f, m.format == element.EthDev)...)
	}
	return packets
}

func samePackets(t *testing.T, got, want [][]byte) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("packet %d is\n%x\nwant\n%x", i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d packets, want %d", len(got), len(want))
	}
}

// A burst of one flow goes to the kernel in one call, up to 64 KiB at a time.
func TestInboundMerges(t *testing.T) {
	eachFlow(t, func(t *testing.T, f flow) {
		m := newMerger(t, f.format(), func(c *InboundConfig) { c.MergeUDP = true })
		packets := append(f.segments(44, 1400, 77), f.segments(20, 100, 99)...) // one burst
		frames, _ := m.receive(packets)
		if len(frames) != 2 {
			t.Errorf("%d packets in %d calls, want 2", len(packets), len(frames))
		}
		samePackets(t, m.apart(frames), packets)
		s := m.port.Status()
		if n := len(slices.Concat(packets...)); s.Counters.Packets != 64 || s.Counters.Merged != 64 || !s.Merging || s.Counters.Dropped != 0 || s.Counters.Bytes != uint64(n) {
			t.Errorf("%+v", s)
		}
	})
}

// UDP is merged only if the kernel takes that, and nothing is without offload.
func TestInboundMergesAsConfigured(t *testing.T) {
	udp, tcp := flow{udp: true, port: 1}, flow{port: 2}
	m := newMerger(t, element.NetHdr, nil)
	packets := append(udp.segments(10, 100, 100), tcp.segments(10, 100, 100)...)
	frames, _ := m.receive(packets)
	if len(frames) != 11 {
		t.Errorf("%d calls, want 10 for UDP and 1 for TCP", len(frames))
	}
	samePackets(t, m.apart(frames), packets)

	m.port.cfg.Merge = false
	frames, _ = m.receive(packets)
	if len(frames) != 20 || m.port.Status().Merging {
		t.Errorf("%d calls, %+v; want one for each packet", len(frames), m.port.Status())
	}
	samePackets(t, m.apart(frames), packets)
}

// A packet between two segments keeps them apart.
func TestInboundMergesNeighbours(t *testing.T) {
	for _, test := range []struct {
		name  string
		marks []uint32
		calls int
	}{
		{"one mark", []uint32{7}, 1},
		{"two marks in turns", []uint32{7, 8}, 20},
		{"none and one", []uint32{0, 0, 0, 0, 0, 9, 9, 9, 9, 9}, 4},
		{"of a child", []uint32{5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			var f flow
			m := newMerger(t, element.NetHdr, nil)
			child, kid := newMarkedPort()
			child.cfg.Skip, child.cfg.Merge = offload.HeaderSize, true
			m.in.Route(5, child)
			packets := f.segments(20, 1000, 1000)
			frames, marks := m.receive(packets, test.marks...)
			if len(frames) != test.calls {
				t.Errorf("%d calls, want %d", len(frames), test.calls)
			}
			var want [][]byte
			var wantKid [][]byte
			for i, p := range packets {
				if test.marks[i%len(test.marks)] == 5 {
					wantKid = append(wantKid, p)
				} else {
					want = append(want, p)
				}
			}
			samePackets(t, m.apart(frames), want)
			samePackets(t, m.apart(kid.got), wantKid)
			for i, mark := range append(marks, kid.marks...) {
				if !slices.Contains(test.marks, mark) || i > 0 && len(test.marks) == 2 && mark == marks[i-1] {
					t.Errorf("marks %v", marks)
				}
			}
			if got, want := uint64(len(packets)), m.port.Status().Counters.Packets+child.Status().Counters.Packets; got != want {
				t.Errorf("%d packets counted, want %d", got, want)
			}
		})
	}
}

// Packets that are longer than the interface may send are merged like others.
// Each counts.
func TestInboundMergesOversize(t *testing.T) {
	var f, long flow
	long.port = 7
	m := newMerger(t, element.NetHdr, nil)
	m.port.Expect(1052)
	packets := slices.Concat(f.segments(5, 1000, 1000), long.segments(3, 1001, 1000), f.segments(5, 1000, 7))
	frames, _ := m.receive(packets)
	if len(frames) != 3 {
		t.Errorf("%d calls, want 3", len(frames))
	}
	samePackets(t, m.apart(frames), packets)
	if c := m.port.Status().Counters; c.Packets != 13 || c.Merged != 13 || c.Oversize != 2 || c.Dropped != 0 {
		t.Errorf("%+v", c)
	}
}

// Flows, marks, children, lengths and foreign packets at random: each device
// gets its packets in order and unchanged, each with its mark.
func TestInboundRandomTraffic(t *testing.T) {
	for _, format := range []element.Format{element.NetHdr, element.EthDev} {
		t.Run(format.String(), func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, uint64(format)))
			m := newMerger(t, format, func(c *InboundConfig) { c.MergeUDP = true })
			child, kid := newMarkedPort()
			child.cfg.Skip, child.cfg.Merge = offload.HeaderSize, true
			m.in.Route(5, child)
			var flows [16]flow
			for i := range flows {
				flows[i] = flow{eth: format == element.EthDev, v6: i%2 > 0, udp: i%5 == 0, port: uint16(i)}
			}
			merged := 0
			for range 100 {
				var packets [][]byte
				var marks []uint32
				mark := uint32(0)
				for len(packets) < 200 {
					f := &flows[random.IntN(len(flows))]
					if format == element.NetHdr {
						mark = []uint32{0, 5, 7}[random.IntN(3)]
					}
					size := 1 + random.IntN(1400)
					for range 1 + random.IntN(30) {
						n := size
						if random.IntN(10) == 0 {
							n = random.IntN(1400)
						}
						p := f.next(n, []byte{ack, ack, ack, ackPsh, 0x11, 0x02}[random.IntN(6)])
						if random.IntN(20) == 0 {
							p[len(p)-1] ^= 0x55 // a bad checksum, which the kernel has to see
						}
						if random.IntN(20) > 0 { // otherwise it is lost
							packets, marks = append(packets, p), append(marks, mark)
						}
					}
				}
				kid.got, kid.marks = nil, nil
				frames, got := m.receive(packets, marks...)
				merged += len(packets) - len(frames) - len(kid.got)
				check := func(frames [][]byte, got []uint32, own func(mark uint32) bool) {
					t.Helper()
					var want, there [][]byte
					var wantMarks, thereMarks []uint32
					for i, p := range packets {
						if own(marks[i]) {
							want, wantMarks = append(want, p), append(wantMarks, marks[i])
						}
					}
					for i, frame := range frames {
						for _, p := range m.apart([][]byte{frame}) {
							there, thereMarks = append(there, p), append(thereMarks, got[i])
						}
					}
					samePackets(t, there, want)
					if !slices.Equal(thereMarks, wantMarks) {
						t.Fatalf("marks %v, want %v", thereMarks, wantMarks)
					}
				}
				check(frames, got, func(mark uint32) bool { return mark != 5 })
				check(kid.got, kid.marks, func(mark uint32) bool { return mark == 5 })
			}
			if merged < 1000 {
				t.Errorf("only %d packets were merged into others", merged)
			}
		})
	}
}

// picky is a device that does not take merged packets.
type picky struct {
	fakeIncoming
	why   error
	asked int
}

func (p *picky) Writev(parts [][]byte) (int, error) {
	p.asked++
	return 0, p.why
}

// When the kernel refuses a merged packet, it gets the packets one by one, and
// none is merged from then on. One log line says so.
func TestInboundFallsBack(t *testing.T) {
	f, other := flow{port: 1}, flow{port: 2}
	m := newMerger(t, element.NetHdr, nil)
	dev := &picky{why: unix.EINVAL}
	m.port.cfg.Device, m.port.cfg.Marks = dev, dev
	packets := slices.Concat(f.segments(20, 1000, 5), other.segments(20, 500, 1))
	for round := range 3 {
		dev.got, dev.marks = nil, nil
		m.receive(packets, 7)
		samePackets(t, m.apart(dev.got), packets)
		if slices.ContainsFunc(dev.marks, func(mark uint32) bool { return mark != 7 }) || dev.armed {
			t.Errorf("round %d: marks %v, armed %v", round, dev.marks, dev.armed)
		}
	}
	s := m.port.Status()
	if dev.asked != 1 || s.Merging || s.Counters.Packets != 3*40 || s.Counters.Merged != 0 || s.Counters.Dropped != 0 || s.Suspended {
		t.Errorf("%d merged packets were tried, %+v", dev.asked, s)
	}
	if n := bytes.Count(m.log.Bytes(), []byte("not merged")); n != 1 {
		t.Errorf("%d lines about it, want 1:\n%s", n, &m.log)
	}
}

// Other errors lose all packets of a merged one, as they would lose each of
// them.
func TestInboundMergedPacketsAreRefused(t *testing.T) {
	var f flow
	m := newMerger(t, element.NetHdr, nil)
	dev := &picky{why: unix.EIO}
	m.port.cfg.Device, m.port.cfg.Marks = dev, dev
	for i, reason := range []Reason{DeviceDown, DeviceRefused} {
		m.receive(f.segments(20, 1000, 5))
		if c := m.port.Status().Counters; c.Reasons[reason] != 20 || c.Dropped != uint64(20*(i+1)) || c.Packets != 0 {
			t.Errorf("%+v, want 20 packets: %v", c, reason)
		}
		dev.why = errRefused
	}
	if s := m.port.Status(); !s.Merging || dev.asked != 2 || len(dev.got) != 0 {
		t.Errorf("%+v after %d tries: want merging to go on", s, dev.asked)
	}
}

// The elements of an epoch that ends within a burst are delivered unchanged.
func TestInboundMergesAcrossRestarts(t *testing.T) {
	m := newMerger(t, element.NetHdr, nil)
	var mu sync.Mutex
	sent := map[string]bool{}
	stop := make(chan struct{})
	var peer sync.WaitGroup
	peer.Go(func() {
		random := rand.New(rand.NewPCG(3, 4))
		var flows [3]flow
		for i := range flows {
			flows[i].port = uint16(i)
		}
		for {
			select {
			case <-stop:
				return
			default:
			}
			mtu := 500 + random.IntN(9000)
			m.peer.Stop()
			if err := m.peer.Start(element.NetHdr.Size(mtu)); err != nil {
				t.Error(err)
				return
			}
			for range 1 + random.IntN(10) {
				packets := flows[random.IntN(len(flows))].segments(1+random.IntN(7), mtu-52, random.IntN(mtu-52))
				mu.Lock()
				for _, p := range packets {
					sent[string(p)] = true
				}
				mu.Unlock()
				for _, p := range packets {
					m.peer.send(p, 0, new(TxCounters))
				}
			}
		}
	})
	delivered, merged, epochs := 0, 0, uint64(0)
	testnet.Eventually(t, "many sessions and packets", func() bool {
		for range 50 {
			m.dev.got = nil
			m.in.burst()
			packets := m.apart(m.dev.got)
			mu.Lock()
			for _, p := range packets {
				if !sent[string(p)] {
					t.Errorf("a packet of %d bytes that was not sent: %.120x", len(p), p)
				}
			}
			mu.Unlock()
			delivered, merged = delivered+len(packets), merged+len(packets)-len(m.dev.got)
		}
		epochs = m.in.Status().Reader.EpochChanges
		return t.Failed() || epochs > 200 && delivered > 2000 && merged > 500
	})
	close(stop)
	peer.Wait()
	t.Logf("%d sessions, %d packets, %d of them merged into others", epochs, delivered, merged)
}

// One side cuts super-packets, the other merges them again.
func TestCutThenMerged(t *testing.T) {
	eachFlow(t, func(t *testing.T, f flow) {
		m := newMerger(t, f.format(), func(c *InboundConfig) { c.MergeUDP = true })
		dev := newFakeDevice()
		o := NewOutbound(OutboundConfig{Device: dev, Sink: m.peer, Skip: offload.HeaderSize, Offload: true, Ethernet: f.eth})
		for n := 2; n <= 44; n++ {
			super := f.super(f.segments(n, 1400, n))
			dev.send(super)
			if o.burst() != 1 {
				t.Fatal("the super-packet was not read")
			}
			frames, _ := m.receive(nil)
			if len(frames) != 1 || !bytes.Equal(frames[0], super) {
				t.Fatalf("%d segments: %d frames, the first %.100x\nwant %.100x", n, len(frames), frames[0], super)
			}
		}
	})
}
