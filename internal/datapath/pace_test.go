package datapath

import (
	"fmt"
	"testing"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/doorbell"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/internal/testnet/solo5"
	"github.com/muennet/muennet/shmstream"
)

// fakeClock is the clock of a Sender. Time passes while the Sender sleeps, and
// when the test says so.
type fakeClock struct {
	now     time.Duration
	asleep  func() // called when a sleep ends
	slept   int
	sleeper time.Duration // the longest
}

func (c *fakeClock) attach(s *Sender) {
	c.now = time.Hour // no time before the epoch's begin counts
	s.now = func() time.Duration { return c.now }
	s.sleep = func(d time.Duration) {
		c.now += d
		c.slept++
		c.sleeper = max(c.sleeper, d)
		if c.asleep != nil {
			c.asleep()
		}
	}
	s.begin() // with this clock
}

// polled is a Sender of Ethernet frames for readers that look every
// millisecond.
func polled(t testing.TB, elements int, c *fakeClock) (*Sender, []byte) {
	t.Helper()
	size := element.EthDev.Size(1500)
	region := mmapRegion(t, shmstream.HeaderSize+elements*size)
	s, err := NewSender(SenderConfig{Region: region, Format: element.EthDev, Protocol: solo5.Protocol, Poll: time.Millisecond, Log: silent,
		OnFault: func(err error) { t.Errorf("fault: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(size); err != nil {
		t.Fatal(err)
	}
	c.attach(s)
	return s, region
}

// A peer that misses every other look loses nothing of a long burst.
func TestLongBurstLosesNothing(t *testing.T) {
	for _, elements := range []int{4, 8, 43, 691} {
		t.Run(fmt.Sprint(elements), func(t *testing.T) {
			var c fakeClock
			s, region := polled(t, elements, &c)
			p, err := solo5.New(solo5.Config{In: region, Out: mmapRegion(t, 1<<16)})
			if err != nil {
				t.Fatal(err)
			}
			looked := c.now
			c.asleep = func() {
				if c.now-looked >= s.cfg.Poll*15/10 {
					looked = c.now
					p.Step()
				}
			}
			const packets = 100_000
			var count TxCounters
			for range packets {
				s.send(make([]byte, 60), 0, &count)
				s.pace()
			}
			p.Step()
			if got := p.Stats(); got.Received != packets || got.Overruns != 0 {
				t.Errorf("%+v, want %d packets", got, packets)
			}
			if got := p.Violations(); len(got) != 0 {
				t.Error(got)
			}
		})
	}
}

// The same with super-packets of 64 KiB, of which one can be longer than the
// ring.
func TestSuperPacketsLoseNothing(t *testing.T) {
	for _, elements := range []int{1, 2, 3, 4, 8, 43, 691} {
		t.Run(fmt.Sprint(elements), func(t *testing.T) {
			c := newCutter(t, element.EthDev, 1500, elements)
			var clock fakeClock
			var region []byte
			c.s, region = polled(t, elements, &clock)
			c.o.cfg.Sink = c.s
			p, err := solo5.New(solo5.Config{In: region, Out: mmapRegion(t, 1<<16)})
			if err != nil {
				t.Fatal(err)
			}
			clock.asleep = func() { p.Step() }
			// How much was written before each sleep.
			var written []milestone
			sleep := c.s.sleep
			c.s.sleep = func(d time.Duration) {
				now := milestone{clock.now, c.s.w.Written()}
				before := uint64(0)
				for _, m := range written {
					if m.at <= now.at-c.s.cfg.Poll {
						before = m.written
					}
				}
				if got, half := now.written-before, uint64(max(1, elements/2)); got > half {
					t.Fatalf("%d elements within poll, more than %d", got, half)
				}
				written = append(written, now)
				sleep(d)
			}
			f := flow{eth: true, port: 7}
			const supers, each = 30, 45
			for range supers {
				c.dev.send(f.super(f.segments(each, 1400, 7)))
			}
			for c.o.burst() > 0 {
			}
			p.Step()
			if got := p.Stats(); got.Received != supers*each || got.Overruns != 0 {
				t.Errorf("%+v, want %d packets", got, supers*each)
			}
		})
	}
}

// There is no window for a reader that a ring has woken.
func TestNoWindowForWokenReaders(t *testing.T) {
	var c fakeClock
	s, region := polled(t, 8, &c)
	wc, epoch := doorbell.Words(region)
	l, err := doorbell.NewListener(doorbell.Config{WC: wc, Epoch: epoch, Poll: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for l.Wakeups() == 0 {
			l.Look()
			l.Wait(true)
		}
	}()
	testnet.Eventually(t, "the reader sleeps", s.ring)
	<-done
	var count TxCounters
	for range 1000 {
		s.send(make([]byte, 60), 0, &count)
	}
	if c.slept > 0 || s.Status().Waits > 0 {
		t.Errorf("slept %d times", c.slept)
	}
	// A new epoch may have other readers.
	if err := s.Start(element.EthDev.Size(1500)); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		s.send(make([]byte, 60), 0, &count)
	}
	if c.slept == 0 {
		t.Error("the new epoch has no window")
	}
}

// With a poll of a minute a packet may wait for long. Pause and Close do not.
func TestWindowYieldsToHurry(t *testing.T) {
	dev := newFakeDevice()
	s, err := NewSender(SenderConfig{Region: mmapRegion(t, 1<<16), Format: element.EthDev, Protocol: solo5.Protocol, Poll: time.Minute, Log: silent,
		OnFault: func(err error) { t.Errorf("fault: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(element.EthDev.Size(1500)); err != nil {
		t.Fatal(err)
	}
	o := NewOutbound(OutboundConfig{Device: dev, Sink: s})
	go o.Run()
	o.Resume()
	const packets = 1000
	for range packets {
		dev.send(make([]byte, 60))
	}
	testnet.Eventually(t, "it waits for the reader", func() bool { return s.Status().Waits > 0 })
	o.Pause()
	if got := o.Counters().Packets; got != packets {
		t.Errorf("%d packets of %d were sent before the pause", got, packets)
	}
	waits := s.Status().Waits
	o.Resume()
	for range packets {
		dev.send(make([]byte, 60))
	}
	testnet.Eventually(t, "it waits again", func() bool { return s.Status().Waits > waits })
	o.Close()
}

// The wait for a reader that lags ends although the clock stands still.
func TestCatchUpWithStandingClock(t *testing.T) {
	var c fakeClock
	s, _ := polled(t, 100, &c)
	s.readers.wakes = true
	var count TxCounters
	for range 51 {
		s.send(make([]byte, 60), 0, &count)
	}
	rings := s.Status().Rings
	s.pace()
	if n := s.Status().Rings - rings; n < 2 || n > uint64(maxLag/minLook)+2 {
		t.Errorf("%d rings for a reader that lags", n)
	}
	rings = s.Status().Rings
	if s.pace(); s.Status().Rings != rings {
		t.Error("it waits again at once")
	}
}

// The real sleep sleeps long enough by the real clock.
func TestSleep(t *testing.T) {
	for _, d := range []time.Duration{0, 100 * time.Microsecond, 3 * time.Millisecond} {
		before := clock()
		sleep(d)
		if got := clock() - before; got < d {
			t.Errorf("slept %v, want %v", got, d)
		}
	}
}
