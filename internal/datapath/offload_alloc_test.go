package datapath

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/offload"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/internal/tuntap"
)

// looped is both forwarders of one channel, with offload. The test runs the
// bursts.
type looped struct {
	port *Port
	o    *Outbound
	in   *Inbound
}

func newLooped(tb testing.TB, format element.Format, send, receive Device, marks IncomingMarks, size int) *looped {
	tb.Helper()
	region := mmapRegion(tb, size)
	l := &looped{port: NewPort(PortConfig{Device: receive, Marks: marks, Skip: offload.HeaderSize, Merge: true, Log: silent})}
	l.o = NewOutbound(OutboundConfig{Device: send, Sink: startSender(tb, region, format, 1500),
		Skip: offload.HeaderSize, Offload: true, Ethernet: format == element.EthDev})
	var err error
	l.in, err = NewInbound(InboundConfig{Port: l.port, Region: region, Format: format, Protocol: testProtocol, MergeUDP: true,
		Poll: time.Millisecond, Log: silent, OnPeer: func(bool) {}, OnFault: func(err error) { tb.Errorf("fault: %v", err) }})
	if err != nil {
		tb.Fatal(err)
	}
	if err := l.in.Resume(); err != nil {
		tb.Fatal(err)
	}
	l.in.burst() // finds the epoch and lays out the arena
	return l
}

// carry moves what the device sends through the channel and returns the number
// of packets.
func (l *looped) carry() (moved int) {
	l.o.burst()
	for {
		n, _, _ := l.in.burst()
		if n == 0 {
			return moved
		}
		moved += n
	}
}

func TestOffloadDoesNotAllocate(t *testing.T) {
	eachFlow(t, func(t *testing.T, f flow) {
		dev := &loopDevice{packet: f.super(f.segments(40, 1400, 7))}
		marks := new(discard)
		l := newLooped(t, f.format(), dev, dev, marks, 1<<20)
		moved := 0
		if n := testing.AllocsPerRun(100, func() {
			dev.left = 8
			moved += l.carry()
		}); n != 0 {
			t.Errorf("%v allocations for 8 super-packets", n)
		}
		if c := l.port.Status().Counters; moved != 101*8*40 || c.Merged != uint64(moved) {
			t.Errorf("%d packets moved, %+v: the measurement is void", moved, c)
		}
	})
}

// The same with the kernel's share: super-packets are read from one TUN device,
// cut, merged, and written to another.
func TestOffloadOnDevicesDoesNotAllocate(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	ns := testnet.New(t)
	ns.Quiet()
	open := func(name string) *tuntap.Device {
		t.Helper()
		var dev *tuntap.Device
		ns.Do(func() {
			var err error
			if dev, err = tuntap.Open(tuntap.Config{Name: name, VnetHdr: true}); err != nil {
				t.Fatal(err)
			}
		})
		t.Cleanup(func() { dev.Close() })
		if err := dev.SetOffload(tuntap.Checksum | tuntap.TCP); err != nil {
			t.Fatal(err)
		}
		if err := ns.Link().SetUp(ns.Index(name)); err != nil {
			t.Fatal(err)
		}
		return dev
	}
	const runs, supers, segments = 6, burstSize, 40
	f := flow{port: 1}
	l := newLooped(t, element.NetHdr, open("from0"), open("to0"), nil, 8<<20)
	send := sendSuper(t, ns, "from0")
	var total int
	for range (runs + 1) * supers { // AllocsPerRun has one run more
		send(f.super(f.segments(segments, 1400, 7)))
		total += segments
	}
	moved := 0
	if n := testing.AllocsPerRun(runs, func() { moved += l.carry() }); n != 0 {
		t.Errorf("%v allocations for %d super-packets", n, supers)
	}
	if c := l.port.Status().Counters; moved != total || c.Merged != uint64(total) || c.Dropped > 0 {
		t.Errorf("%d packets moved, %+v, want %d: the measurement is void", moved, c, total)
	}
}

// sendSuper sends IPv4 super-packets through an interface, as the kernel's TCP
// does.
func sendSuper(t *testing.T, ns *testnet.NS, name string) func(frame []byte) {
	t.Helper()
	const ipv4 = 0x0008 // ETH_P_IP in network order
	to := &unix.SockaddrLinklayer{Ifindex: ns.Index(name), Protocol: ipv4}
	var fd int
	ns.Do(func() {
		var err error
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		t.Fatal(err)
	}
	return func(frame []byte) {
		t.Helper()
		if err := unix.Sendto(fd, frame, 0, to); err != nil {
			t.Fatal(err)
		}
	}
}

// Super-packets of 64 KiB through both forwarders, without the kernel's share.
func BenchmarkForwardTSO(b *testing.B) {
	for name, f := range map[string]flow{"IP": {}, "Ethernet": {eth: true}, "UDP": {udp: true}} {
		b.Run(name, func(b *testing.B) {
			const segments, size, burst = 45, 1448, 8
			dev := &loopDevice{packet: f.super(f.segments(segments, size, 1000))}
			l := newLooped(b, f.format(), dev, dev, nil, 1<<20)
			b.SetBytes(int64(len(dev.packet)))
			b.ReportAllocs()
			b.ResetTimer()
			moved := 0
			for n := 0; n < b.N; n += burst {
				dev.left = min(burst, b.N-n)
				moved += l.carry()
			}
			if moved != b.N*segments {
				b.Fatalf("%d packets moved, want %d", moved, b.N*segments)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(moved), "ns/segment")
		})
	}
}
