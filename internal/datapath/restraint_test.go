package datapath

import (
	"testing"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/doorbell"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

func TestRestraint(t *testing.T) {
	var r restraint
	now := time.Hour
	const each = time.Millisecond
	looks := func(n int, pause time.Duration) (rest time.Duration) {
		for range n {
			now += pause
			rest = r.inVain(now)
		}
		return rest
	}
	if d := looks(1000, each); d != 0 {
		t.Errorf("a rest of %v within the first second", d)
	}
	for _, want := range []time.Duration{10, 20, 40, 80, 100, 100} {
		if d := looks(1, each); d != want*time.Millisecond {
			t.Errorf("a rest of %v, want %d ms", d, want)
		}
	}
	r.found()
	if d := looks(1000, each); d != 0 {
		t.Errorf("a rest of %v after packets", d)
	}
	// A peer that starts now and then is no load.
	if d := looks(1000, maxVain+1); d != 0 {
		t.Errorf("a rest of %v after a look a second", d)
	}
	if d := looks(10, maxVain/10); d != minRest {
		t.Errorf("a rest of %v after a second of looks", d)
	}
}

// An Inbound looks a few times a second at a peer that keeps it busy without
// packets, and receives its first packet.
func TestInboundRestsFromVainLooks(t *testing.T) {
	bad := make([]byte, 1508) // protocol 0
	good := make([]byte, 1508)
	good[6] = 4
	copy(good[8:], ip(1000, 1))
	start := func(t *testing.T, w *shmstream.Writer) {
		if err := w.Start(shmstream.WriterConfig{Protocol: testProtocol, Size: 1508}); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		name  string
		annoy func(t *testing.T, w *shmstream.Writer, region []byte)
		looks func(InboundStatus) uint64
	}{
		{
			"epochs", func(t *testing.T, w *shmstream.Writer, _ []byte) { w.Stop(); start(t, w) },
			func(s InboundStatus) uint64 { return s.Reader.EpochChanges },
		},
		{
			"faulty elements", func(_ *testing.T, w *shmstream.Writer, _ []byte) {
				for range gatherSize {
					w.Write(bad)
				}
			},
			func(s InboundStatus) uint64 { return s.Faults[element.BadProtocol] / gatherSize },
		},
		{
			"rings", func(_ *testing.T, _ *shmstream.Writer, region []byte) {
				wc, _ := doorbell.Words(region)
				doorbell.Ring(wc)
			},
			func(s InboundStatus) uint64 { return s.Wakeups },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			region, dev := mmapRegion(t, 1<<18), newFakeDevice()
			in := runInbound(t, region, dev, nil)
			w, err := shmstream.NewWriter(region)
			if err != nil {
				t.Fatal(err)
			}
			start(t, w)
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				for {
					select {
					case <-stop:
						return
					default:
						c.annoy(t, w, region)
						time.Sleep(20 * time.Microsecond)
					}
				}
			}()
			// There are a few looks between two rests of 100 ms. On a busy machine it
			// may take some windows until the rests are that long.
			const window, most, tries = time.Second, 100, 15
			for try := 1; ; try++ {
				before := c.looks(in.Status())
				time.Sleep(window)
				n := c.looks(in.Status()) - before
				t.Logf("window %d: %d looks", try, n)
				if try > 1 && n <= most {
					break
				}
				if try == tries {
					t.Errorf("%d looks in %v, want %d at most", n, window, most)
					break
				}
			}
			close(stop)
			<-stopped
			start(t, w)
			testnet.Eventually(t, "packet", func() bool { w.Write(good); time.Sleep(time.Millisecond); return len(dev.received()) > 0 })
		})
	}
}
