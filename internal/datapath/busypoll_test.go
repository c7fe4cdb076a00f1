package datapath

import (
	"testing"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/testnet"
)

// polling is a busyPoll whose clock and processor belong to the test.
type polling struct {
	busyPoll
	time, gone time.Duration // gone: the length of a yield
	sending    bool
}

func newPolling(most time.Duration) *polling {
	p := &polling{time: time.Hour, gone: time.Microsecond}
	p.busyPoll = busyPoll{
		max: most, bulk: func() bool { return p.sending },
		now: func() time.Duration { return p.time }, yield: func() { p.time += p.gone },
	}
	return p
}

// looks counts the looks before it goes to sleep.
func (p *polling) looks() (n int) {
	for ; p.again(); n++ {
	}
	return n
}

// after finds single elements, each after a pause.
func (p *polling) after(pauses ...time.Duration) *polling {
	for _, pause := range pauses {
		p.time += pause
		p.found(1)
	}
	return p
}

const lookFor = 50 * time.Microsecond

func TestBusyPoll(t *testing.T) {
	for name, c := range map[string]struct {
		p    *polling
		want int
	}{
		"off":                       {newPolling(0).after(0, 0, 0), 0},
		"nothing came yet":          {newPolling(lookFor), 0},
		"the first after a pause":   {newPolling(lookFor).after(lookFor + 1), 0},
		"soon after another":        {newPolling(lookFor).after(time.Second, lookFor), 51},
		"a pause between":           {newPolling(lookFor).after(time.Second, lookFor, lookFor+1), 0},
		"soon after one of a pause": {newPolling(lookFor).after(time.Second, lookFor, time.Second, 1), 51},
	} {
		if n := c.p.looks(); n != c.want {
			t.Errorf("%s: %d looks of 1 µs, want %d", name, n, c.want)
		}
		if c.p.again() {
			t.Errorf("%s: it looks again after it has slept", name)
		}
	}
}

func TestBusyPollLeavesBulkAlone(t *testing.T) {
	p := newPolling(lookFor).after(time.Second, 1)
	p.found(fewElements + 1)
	if n := p.looks(); n > 0 {
		t.Errorf("%d looks after many elements", n)
	}
	p.found(fewElements)
	if n := p.looks(); n == 0 {
		t.Error("no look after few elements")
	}
	p.sending = true
	if n := p.after(1, 1).looks(); n > 0 {
		t.Errorf("%d looks while many are sent", n)
	}
}

// The bound follows the pauses between packets.
func TestBusyPollTunesItself(t *testing.T) {
	const most, least = 8 * leastBound, leastBound
	const long = most + 1 // a pause that is not worth looking through
	steady := func(pause time.Duration, n int) (all []time.Duration) {
		for range n {
			all = append(all, pause)
		}
		return all
	}
	for name, c := range map[string]struct {
		most   time.Duration
		pauses []time.Duration
		want   time.Duration
	}{
		"at first":                       {most, steady(least, 1), least},
		"short pauses":                   {most, steady(least, 9), least},
		"longer pauses":                  {most, steady(least+1, 2), 2 * least},
		"still growing":                  {most, steady(most, 2), 4 * least},
		"no longer than needed":          {most, steady(2*least, 9), 2 * least},
		"the longest":                    {most, steady(most, 9), most},
		"a maximum between two steps":    {3 * least, steady(3*least, 9), 3 * least},
		"a maximum below the least":      {least / 2, steady(least/2, 9), least / 2},
		"pauses that are too long":       {most, steady(long, 9), least},
		"such a pause between":           {most, append(steady(most, 9), long), most / 2},
		"shorter ones after longer ones": {most, append(steady(most, 9), steady(1, 9)...), most},
	} {
		p := newPolling(c.most).after(long).after(c.pauses...)
		if p.bound != c.want {
			t.Errorf("%s: looks for %v, want %v", name, p.bound, c.want)
		}
		last := c.pauses[len(c.pauses)-1]
		if n := p.looks(); n > 0 != (last <= c.want) || n > int(c.want/time.Microsecond)+1 {
			t.Errorf("%s: %d looks of 1 µs", name, n)
		}
	}
}

// After bulk traffic, and after a program that computes, it looks for a short
// time.
func TestBusyPollStartsAgain(t *testing.T) {
	const most = 8 * leastBound
	for name, interrupt := range map[string]func(p *polling){
		"many elements": func(p *polling) { p.found(fewElements + 1) },
		"many sent":     func(p *polling) { p.sending = true; p.after(1); p.sending = false },
		"a long yield": func(p *polling) {
			p.gone = maxYield + 1
			p.again()
			p.gone = time.Microsecond
			p.after(busyRest)
		},
	} {
		p := newPolling(most).after(most, most, most, most, most)
		if p.bound != most || !p.worth {
			t.Fatalf("%s: looks for %v", name, p.bound)
		}
		interrupt(p)
		if p.after(1); p.bound != leastBound {
			t.Errorf("after %s it looks for %v, want %v", name, p.bound, leastBound)
		}
	}
}

// A program that computes on the same processor gives it back after its time
// slice.
func TestBusyPollSparesOtherPrograms(t *testing.T) {
	p := newPolling(lookFor).after(time.Second, 1)
	p.gone = maxYield
	if n := p.looks(); n != 1 {
		t.Errorf("%d looks, want one: the time is over", n)
	}
	p.after(maxYield, 1)
	p.max, p.bound, p.gone = time.Second, time.Second, maxYield+1
	if n := p.looks(); n != 1 {
		t.Errorf("%d looks, want one", n)
	}
	p.max, p.gone = lookFor, time.Microsecond
	if n := p.after(1, 1).looks(); n > 0 {
		t.Errorf("%d looks right after that", n)
	}
	if n := p.after(busyRest, 1).looks(); n != 51 {
		t.Errorf("%d looks a while after that, want 51", n)
	}
}

// A clock that stands still does not make busy polling last: looks are bounded,
// too. Muen's clock shows the end of the minor frame throughout the frame.
func TestBusyPollWithStandingClock(t *testing.T) {
	const looks = int(lookFor/minLook) + 1
	for _, frame := range []time.Duration{time.Millisecond, 10 * time.Millisecond, time.Hour} {
		p := newPolling(lookFor)
		p.now = func() time.Duration { return p.time.Truncate(frame) + frame }
		for range 10 {
			p.gone = 0 // the frame goes on, however long the yield
			if n := p.after(0, 0).looks(); n != looks {
				t.Errorf("frames of %v: %d looks, want %d", frame, n, looks)
			}
			p.gone = frame // each yield ends a frame
			if n := p.after(0, 0).looks(); n != 1 {
				t.Errorf("frames of %v: %d looks in other frames, want 1", frame, n)
			}
			p.time += busyRest + frame // the clock is past the rest
		}
	}
}

// A Sender says whether its last burst was bulk traffic.
func TestSenderTellsBulk(t *testing.T) {
	s := startSender(t, mmapRegion(t, 1<<16), element.NetHdr, 1500)
	for _, packets := range []int{1, fewElements + 1, fewElements, 10, 0} {
		for range packets {
			s.send(ip(100, 1), 0, new(TxCounters))
		}
		s.flush()
		if s.sendsBulk() != (packets > fewElements) {
			t.Errorf("after a burst of %d: bulk %v", packets, s.sendsBulk())
		}
	}
}

// A packet that comes while an Inbound looks needs neither a ring nor a
// timeout.
func TestInboundKeepsLooking(t *testing.T) {
	region, dev := mmapRegion(t, 1<<16), newFakeDevice()
	s := startSender(t, region, element.NetHdr, 1500)
	in := runInbound(t, region, dev, func(c *InboundConfig) { c.BusyPoll = time.Minute })
	testnet.Eventually(t, "the peer", func() bool { return in.Status().Peer == PeerActive })
	for i := range 1000 { // another thread may have the processor during some
		before := in.Status()
		s.send(ip(100, 1), 0, new(TxCounters)) // without a ring
		testnet.Eventually(t, "the packet", func() bool { return len(dev.received()) > i })
		if after := in.Status(); after.Timeouts == before.Timeouts && after.Wakeups == before.Wakeups {
			return
		}
		time.Sleep(5 * time.Millisecond) // without busy polling it is asleep now
	}
	t.Error("it slept before each packet")
}
