package datapath

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

func newReader(t testing.TB, region []byte) *shmstream.Reader {
	t.Helper()
	r, err := shmstream.NewReader(region, shmstream.Expect{Protocol: testProtocol, MinSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func runOutbound(t testing.TB, dev Device, s Sink) *Outbound {
	t.Helper()
	o := NewOutbound(OutboundConfig{Device: dev, Sink: s})
	go o.Run()
	t.Cleanup(o.Close)
	return o
}

func TestOutboundCarries(t *testing.T) {
	region := mmapRegion(t, 1<<16)
	dev := newFakeDevice()
	s := startSender(t, region, element.NetHdr, 1500)
	o := runOutbound(t, dev, s)
	o.Resume()
	r, buf := newReader(t, region), make([]byte, 2048)
	for n := 20; n <= 1500; n += 37 {
		want := ip(n, byte(n))
		dev.send(want)
		var got element.Packet
		testnet.Eventually(t, "packet", func() bool {
			p, result := read(t, r, element.NetHdr, buf)
			got = p
			return result == shmstream.Success
		})
		if !bytes.Equal(got.Data, want) || got.Mark != 0 {
			t.Fatalf("packet of %d bytes came as %d bytes, mark %d", n, len(got.Data), got.Mark)
		}
	}
	st := s.Status()
	if c := o.Counters(); c.Packets != 41 || st.Rings == 0 {
		t.Errorf("packets %d, rings %d", c.Packets, st.Rings)
	}
	if h, _ := shmstream.ReadHeader(region); h.WSC != h.WC {
		t.Errorf("WSC %d, WC %d while nothing is written", h.WSC, h.WC)
	}
}

// Packets between "up" and the writer's start are sent after the start. Packets
// that the device holds when the interface goes down are sent before the writer
// stops.
func TestOutboundPause(t *testing.T) {
	region := mmapRegion(t, 1<<16)
	dev := newFakeDevice()
	s := startSender(t, region, element.NetHdr, 1500)
	o := runOutbound(t, dev, s)
	dev.send(ip(100, 1))
	o.Resume()
	testnet.Eventually(t, "packet from before the start", func() bool { return s.Status().Written == 1 })
	o.Pause()
	dev.send(ip(100, 2))
	time.Sleep(10 * time.Millisecond)
	if n := s.Status().Written; n != 1 {
		t.Errorf("%d packets written while paused", n)
	}
	o.Pause() // a second time
	o.Resume()
	testnet.Eventually(t, "packet from the pause", func() bool { return s.Status().Written == 2 })
}

func TestOutboundDrops(t *testing.T) {
	region := mmapRegion(t, 1<<16)
	dev := newFakeDevice()
	s := startSender(t, region, element.NetHdr, 1500)
	o := runOutbound(t, dev, s)
	o.Resume()
	dev.send(ip(1501, 1), []byte{0x15, 0, 0}, ip(1500, 1))
	testnet.Eventually(t, "the good one", func() bool { return s.Status().Written == 1 })
	c := o.Counters()
	if c.Dropped != 2 || c.Faults[element.Oversize] != 1 || c.Faults[element.NotIP] != 1 {
		t.Errorf("counters %+v", c)
	}
	s.Stop()
	dev.send(ip(100, 1))
	testnet.Eventually(t, "drop while inactive", func() bool { return o.Counters().Reasons[Inactive] == 1 })
}

// The next packets mend a header that another process overwrote.
func TestOutboundMendsItsHeader(t *testing.T) {
	region := mmapRegion(t, 1<<16)
	dev := newFakeDevice()
	s := startSender(t, region, element.NetHdr, 1500)
	runOutbound(t, dev, s).Resume()
	r, buf := newReader(t, region), make([]byte, 2048)
	clear(region) // as if the region had shrunk and grown
	testnet.Eventually(t, "packet behind the damage", func() bool {
		dev.send(ip(100, 1))
		p, result := read(t, r, element.NetHdr, buf)
		return result == shmstream.Success && len(p.Data) == 100
	})
}

func TestOutboundWithoutChannel(t *testing.T) {
	dev := newFakeDevice()
	o := runOutbound(t, dev, nil)
	o.Resume()
	dev.send(ip(100, 1), ip(100, 2))
	testnet.Eventually(t, "drops", func() bool { return o.Counters().Reasons[NoChannel] == 2 })
}

func TestInboundCarries(t *testing.T) {
	region := mmapRegion(t, 1<<16)
	s := startSender(t, region, element.NetHdr, 1500)
	dev := newFakeDevice()
	in := runInbound(t, region, dev, nil)
	for i := range 500 { // more than a ring, half of it at a time at most
		s.send(ip(20+i, byte(i)), uint32(i), new(TxCounters))
		s.ring()
		if i%16 == 15 {
			testnet.Eventually(t, "batch", func() bool { return len(dev.received()) == i+1 })
		}
	}
	testnet.Eventually(t, "all", func() bool { return len(dev.received()) == 500 })
	for i, got := range dev.received() {
		if !bytes.Equal(got, ip(20+i, byte(i))) {
			t.Fatalf("packet %d is not what was sent", i)
		}
	}
	st := in.Status()
	if st.Peer != PeerActive || in.cfg.Port.Status().Counters.Packets != 500 || st.Reader.Overruns != 0 {
		t.Errorf("status %+v", st)
	}
}

func TestInboundRawKeepsRoom(t *testing.T) {
	region := mmapRegion(t, 1<<14)
	s := startSender(t, region, element.Raw, 100)
	dev := newFakeDevice()
	runInbound(t, region, dev, func(c *InboundConfig) {
		c.Format, c.Port = element.Raw, NewPort(PortConfig{Device: dev, Skip: 4, Log: silent})
	})
	s.send([]byte{1, 2, 3}, 0, new(TxCounters))
	s.ring()
	testnet.Eventually(t, "packet", func() bool { return len(dev.received()) == 1 })
	want := append([]byte{0, 0, 0, 0, 1, 2, 3}, make([]byte, 97)...)
	if got := dev.received()[0]; !bytes.Equal(got, want) {
		t.Errorf("got %x", got)
	}
}

func TestInboundBeginsAtWC(t *testing.T) {
	region := mmapRegion(t, 1<<16)
	s := startSender(t, region, element.NetHdr, 1500)
	s.send(ip(30, 1), 0, new(TxCounters))
	dev := newFakeDevice()
	in := runInbound(t, region, dev, nil)
	testnet.Eventually(t, "peer", func() bool { return in.Status().Peer == PeerActive })
	s.send(ip(31, 1), 0, new(TxCounters))
	testnet.Eventually(t, "new packet", func() bool { return len(dev.received()) == 1 })
	if n := len(dev.received()[0]); n != 31 {
		t.Errorf("the first packet has %d bytes: it is an old one", n)
	}
	in.Pause()
	s.send(ip(32, 1), 0, new(TxCounters))
	if err := in.Resume(); err != nil {
		t.Fatal(err)
	}
	s.send(ip(33, 1), 0, new(TxCounters))
	testnet.Eventually(t, "after the pause", func() bool { return len(dev.received()) == 2 })
	if n := len(dev.received()[1]); n != 33 {
		t.Errorf("after the pause a packet of %d bytes came", n)
	}
}

// A writer that starts while the interface is up is read from its first
// element.
func TestInboundFollowsRestarts(t *testing.T) {
	region := mmapRegion(t, 1<<16)
	s := startSender(t, region, element.NetHdr, 1500)
	dev := newFakeDevice()
	active := make(chan bool, 1000)
	in := runInbound(t, region, dev, func(c *InboundConfig) { c.OnPeer = func(a bool) { active <- a } })
	for i := range 100 {
		mtu := 1400 + i
		s.Stop()
		if err := s.Start(element.NetHdr.Size(mtu)); err != nil {
			t.Fatal(err)
		}
		s.send(ip(mtu, byte(i)), 0, new(TxCounters))
		s.ring()
		testnet.Eventually(t, "packet of the new epoch", func() bool { return len(dev.received()) == i+1 })
	}
	s.Stop()
	testnet.Eventually(t, "inactive", func() bool { return in.Status().Peer == PeerInactive })
	last := false
	for len(active) > 0 {
		last = <-active
	}
	if last {
		t.Error("the peer ends active")
	}
}

func TestInboundCountsFaults(t *testing.T) {
	region := mmapRegion(t, 1<<16)
	dev := newFakeDevice()
	in := runInbound(t, region, dev, nil)
	port := in.cfg.Port
	port.Expect(1000)
	w, err := shmstream.NewWriter(region)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(shmstream.WriterConfig{Protocol: testProtocol, Size: 1508}); err != nil {
		t.Fatal(err)
	}
	bad := make([]byte, 1508)
	w.Write(bad) // protocol 0
	bad[6] = 41
	bad[8] = 0x45
	w.Write(bad) // IPv4 under protocol 41
	long := make([]byte, 1508)
	long[6] = 4
	copy(long[8:], ip(1001, 1))
	w.Write(long) // no fault
	good := make([]byte, 1508)
	good[6] = 4
	copy(good[8:], ip(1000, 1))
	w.Write(good)
	testnet.Eventually(t, "the good ones", func() bool { return len(dev.received()) == 2 })
	if f := in.Status().Faults; f[element.BadProtocol] != 1 || f[element.BadVersion] != 1 {
		t.Errorf("faults %v", f)
	}
	if c := port.Status().Counters; c.Oversize != 1 || c.Dropped != 0 {
		t.Errorf("counters %+v", c)
	}
	dev.mu.Lock()
	dev.refuse = unix.EIO
	dev.mu.Unlock()
	w.Write(good)
	testnet.Eventually(t, "refusal", func() bool { return port.Status().Counters.Reasons[DeviceDown] == 1 })
	dev.mu.Lock()
	dev.refuse = errRefused
	dev.mu.Unlock()
	w.Write(good)
	testnet.Eventually(t, "refusal", func() bool { return port.Status().Counters.Reasons[DeviceRefused] == 1 })
}

func TestInboundIncompatibleRecovers(t *testing.T) {
	region := mmapRegion(t, 1<<16)
	dev := newFakeDevice()
	in := runInbound(t, region, dev, nil)
	w, err := shmstream.NewWriter(region)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(shmstream.WriterConfig{Protocol: 0xc, Size: 1508}); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "incompatible", func() bool { return in.Status().Peer == PeerIncompatible })
	if in.Status().Reason == "" {
		t.Error("no reason")
	}
	if err := w.Start(shmstream.WriterConfig{Protocol: testProtocol, Size: 1508}); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "active", func() bool { return in.Status().Peer == PeerActive })
	if r := in.Status().Reason; r != "" {
		t.Errorf("old reason: %s", r)
	}
}

// The real forwarders do not allocate.
func TestBurstsDoNotAllocate(t *testing.T) {
	region := mmapRegion(t, 1<<20)
	s := startSender(t, region, element.NetHdr, 1500)
	dev := &loopDevice{packet: ip(1500, 1)}
	o := NewOutbound(OutboundConfig{Device: dev, Sink: s})
	in, err := NewInbound(InboundConfig{Port: NewPort(PortConfig{Device: dev, Log: silent}), Region: region, Format: element.NetHdr, Protocol: testProtocol,
		Poll: time.Millisecond, Log: silent, OnPeer: func(bool) {}, OnFault: func(err error) { t.Errorf("fault: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Resume(); err != nil {
		t.Fatal(err)
	}
	in.burst()
	moved := 0
	if n := testing.AllocsPerRun(100, func() {
		dev.left = burstSize
		o.burst()
		m, _, _ := in.burst()
		moved += m
	}); n != 0 {
		t.Errorf("%v allocations per burst", n)
	}
	if moved != 101*burstSize {
		t.Errorf("%d packets moved", moved)
	}
}

// loopDevice has packets left to read and takes any.
type loopDevice struct {
	fakeDevice
	packet []byte
	left   int
}

func (d *loopDevice) Read(p []byte) (int, int, error) {
	if d.left == 0 {
		return 0, 0, unix.EAGAIN
	}
	d.left--
	return copy(p, d.packet), 0, nil
}

func (d *loopDevice) Write(p []byte) (int, error)        { return len(p), nil }
func (d *loopDevice) Writev(parts [][]byte) (int, error) { return 1, nil }

// Both forwarders of a channel, without the kernel's share.
func benchmarkForward(b *testing.B, size int) {
	region := mmapRegion(b, 1<<20)
	s := startSender(b, region, element.NetHdr, 1500)
	dev := &loopDevice{packet: ip(size, 1)}
	o := NewOutbound(OutboundConfig{Device: dev, Sink: s})
	in, err := NewInbound(InboundConfig{Port: NewPort(PortConfig{Device: dev, Log: silent}), Region: region, Format: element.NetHdr, Protocol: testProtocol,
		Poll: time.Millisecond, Log: silent, OnPeer: func(bool) {}, OnFault: func(err error) { b.Errorf("fault: %v", err) }})
	if err != nil {
		b.Fatal(err)
	}
	if err := in.Resume(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(size))
	for n := 0; n < b.N; n += burstSize {
		dev.left = burstSize
		o.burst()
		in.burst()
	}
}

func BenchmarkForward64(b *testing.B)   { benchmarkForward(b, 64) }
func BenchmarkForward512(b *testing.B)  { benchmarkForward(b, 512) }
func BenchmarkForward1500(b *testing.B) { benchmarkForward(b, 1500) }
