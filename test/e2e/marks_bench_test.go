package e2e

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/client"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// Thirty-two children, each with a mark, in little memory.
func TestThirtyTwoChildren(t *testing.T) {
	begin(t)
	l := newLone(t)
	l.Up("net0", "10.0.0.1/24")
	c := client.New(l.control)
	ctx := context.Background()
	begun := time.Now()
	for i := range uint32(32) {
		name := fmt.Sprint("child", i)
		if err := c.AddChild(ctx, "net0", name); err != nil {
			t.Fatal(err)
		}
		if err := c.AddMark(ctx, name, i+1); err != nil {
			t.Fatal(err)
		}
	}
	ready := time.Since(begun)
	for i := range 32 {
		l.ip(fmt.Sprint("link set child", i, " up"))
	}
	l.awaitShow("net0", "all are up", func(s api.Interface) bool {
		up := 0
		for _, child := range s.Children {
			if child.Up {
				up++
			}
		}
		return up == 32
	})
	for mark := range uint32(33) { // 0 is the parent's
		for range 100 {
			l.in.send(element.NetHdr, numbered(mark, 0), mark)
		}
		l.awaitShow("net0", "the packets have arrived", func(s api.Interface) bool {
			if mark == 0 {
				return s.Stats.RxPackets == 100
			}
			return s.Children[mark-1].Stats.RxPackets == 100
		})
	}
	resident := statusField(t, l.daemon.Process.Pid, "/proc/%d/status", "VmRSS")
	t.Logf("32 children: ready in %v, %d KiB resident", ready.Round(time.Millisecond), resident)
	if resident >= 64<<10 && os.Getenv("MUENNET_E2E_RACE") != "1" {
		t.Errorf("%d KiB resident, want less than 64 MiB", resident)
	}
}

// bench is a muennet in this process whose peer is the benchmark.
type bench struct {
	b             *testing.B
	net           *muennet.Net
	in            *peer
	out           *shmstream.Reader
	buf           []byte
	parent, child *markSocket
}

// newBench makes net0 and child0, which holds mark 7.
func newBench(b *testing.B, noBPF bool) *bench {
	b.Helper()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	dir := b.TempDir()
	x := &bench{b: b, buf: make([]byte, 2048)}
	for _, name := range []string{"ab", "ba"} {
		must(region.Create(dir, name, 1<<20, region.DefaultMode))
	}
	x.in = newPeer(b, dir, "ba")
	out, err := region.Open(dir, "ab", region.ReadOnly)
	must(err)
	b.Cleanup(func() { out.Close() })
	x.out, err = shmstream.NewReader(out.Bytes(), shmstream.Expect{Protocol: 0x12, MinSize: 1})
	must(err)
	ns := testnet.New(b)
	ns.Quiet()
	ns.Do(func() {
		x.net, err = muennet.Open(muennet.Config{NoBPF: noBPF, Load: muennet.Load{Channels: dir, Interfaces: []muennet.Interface{{
			Name: "net0", Format: element.NetHdr, In: "ba", Out: "ab", ReaderProtocol: 0x12, WriterProtocol: 0x12,
		}}}})
		must(err)
	})
	b.Cleanup(func() { must(x.net.Close()) })
	must(x.net.AddChild("net0", "child0"))
	must(x.net.AddMark("child0", 7))
	for i, device := range []string{"net0", "child0"} {
		ns.Up(device, fmt.Sprintf("10.%d.0.1/24", i))
	}
	x.in.start(0x12, element.NetHdr.Size(1500))
	testnet.Eventually(b, "the peer is active and the child up", func() bool {
		s := x.net.Status()[0]
		return s.Reader.Peer == "active" && s.Children[0].Up
	})
	x.parent, x.child = newMarkSocket(b, ns, "net0", "10.0.0.2"), newMarkSocket(b, ns, "child0", "10.1.0.2")
	testnet.Eventually(b, "the writer is active", func() bool { return x.out.SkipPending() == shmstream.Success })
	return x
}

// benchPackets is how many packets a measurement takes.
const benchPackets = 20_000

// send has a host send small datagrams and returns how many a second come out.
func (x *bench) send(s *markSocket, mark uint32) float64 {
	payload := make([]byte, 64-overhead4)
	begun := time.Now()
	for sent, received := 0, 0; received < benchPackets; {
		for ; sent < benchPackets && sent-received < 128; sent++ {
			if err := s.sendMarked(mark, payload); err != nil {
				x.b.Fatal(err)
			}
		}
		_, result := x.out.Read(x.buf)
		switch result {
		case shmstream.Success:
			received++
		case shmstream.NoData, shmstream.EpochChanged:
		default:
			x.b.Fatalf("reading the out-channel: %v", result)
		}
	}
	return benchPackets / time.Since(begun).Seconds()
}

// receive has the peer send small packets and returns how many a second reach a
// device.
func (x *bench) receive(mark uint32) float64 {
	packet := numbered(mark, 0)
	window := uint64(x.in.Elements() / 2)
	before := x.total()
	begun := time.Now()
	for sent, received := uint64(0), uint64(0); received < benchPackets; received = x.total() - before {
		for ; sent < benchPackets && sent-received < window; sent++ {
			x.in.Put(element.NetHdr, packet, mark)
		}
		x.in.ring()
		runtime.Gosched()
	}
	return benchPackets / time.Since(begun).Seconds()
}

// total is how many packets were delivered so far.
func (x *bench) total() uint64 {
	s := x.net.Status()[0]
	return s.Stats.RxPackets + s.Children[0].Stats.RxPackets
}

// Packets per second with the programs against without, and of marked packets
// against others, measured in turns: 1 is as fast.
func BenchmarkMarked64(b *testing.B) {
	testnet.Privileged(b)
	off, on := newBench(b, true), newBench(b, false)
	measure := [...]func() float64{
		func() float64 { return off.send(off.parent, 0) },
		func() float64 { return on.send(on.parent, 0) },
		func() float64 { return on.send(on.parent, 9) },
		func() float64 { return on.send(on.child, 8) },
		func() float64 { return off.receive(0) },
		func() float64 { return on.receive(0) },
		func() float64 { return on.receive(9) },
		func() float64 { return on.receive(7) },
	}
	var sum [len(measure)]float64
	for n := range b.N {
		if n == 1 { // the first round only warms up, if there are more
			sum = [len(measure)]float64{}
		}
		for i := range measure { // each time another one is the first
			i = (i + n) % len(measure)
			sum[i] += measure[i]()
		}
	}
	for i, way := range []string{"tx", "rx"} {
		s := sum[4*i:]
		b.ReportMetric(s[0]/float64(max(b.N-1, 1)), way+"/s")
		b.ReportMetric(s[1]/s[0], way+"-on/off")
		b.ReportMetric(s[2]/s[1], way+"-marked/unmarked")
		b.ReportMetric(s[3]/s[1], way+"-child/unmarked")
	}
}
