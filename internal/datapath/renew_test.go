package datapath

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/doorbell"
	"github.com/muennet/muennet/internal/testnet/solo5"
	"github.com/muennet/muennet/shmstream"
)

// stuckRing is how many elements the channels of these tests hold.
const stuckRing = 16

// frail is a Sender, what it needs to renew, and the peer it does that for. The
// clock is the test's.
type frail struct {
	t     *testing.T
	s     *Sender
	p     *solo5.Peer
	pulse *Pulse
	c     fakeClock
	count TxCounters
	in    []byte // the peer writes it
	log   strings.Builder
}

func newFrail(t *testing.T, renew time.Duration) *frail {
	t.Helper()
	size := element.EthDev.Size(1500)
	f := &frail{t: t, pulse: new(Pulse), in: mmapRegion(t, shmstream.HeaderSize+stuckRing*size)}
	out := mmapRegion(t, shmstream.HeaderSize+stuckRing*size)
	var err error
	f.s, err = NewSender(SenderConfig{Region: out, Format: element.EthDev, Protocol: solo5.Protocol, Renew: renew, Pulse: f.pulse,
		Log: slog.New(slog.NewTextHandler(&f.log, nil)), OnFault: func(err error) { t.Errorf("fault: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.s.Start(size); err != nil {
		t.Fatal(err)
	}
	f.c.attach(f.s)
	if f.p, err = solo5.New(solo5.Config{In: out, Out: f.in, Addr: netip.MustParseAddr("10.0.0.2")}); err != nil {
		t.Fatal(err)
	}
	f.pulse.state(true)
	return f
}

// arp is a request that the peer answers.
var arp = []byte("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x99\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01" +
	"\x02\x00\x00\x00\x00\x99\x0a\x00\x00\x01\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x02")

// send is a burst of n packets.
func (f *frail) send(n int) {
	f.s.revive()
	for range n {
		f.s.send(arp, 0, &f.count)
	}
}

// step is a look of the peer; what it says is heard.
func (f *frail) step() {
	before := f.p.Stats().Sent
	f.p.Step()
	if f.p.Stats().Sent > before {
		f.pulse.heard.Store(int64(f.c.now))
	}
}

// talk sends one packet every so often, n times, and lets the peer look.
func (f *frail) talk(n int, every time.Duration) {
	for range n {
		f.c.now += every
		f.send(1)
		f.step()
	}
}

func (f *frail) renewals() uint64 { return f.s.Status().Renewals }

// want checks the peer and the renewals.
func (f *frail) want(what string, stuck bool, renewals uint64) {
	f.t.Helper()
	if got := f.p.Stats(); got.Stuck != stuck || f.renewals() != renewals {
		f.t.Fatalf("%s: %+v and %d renewals, want stuck %v and %d", what, got, f.renewals(), stuck, renewals)
	}
}

func TestRenewFreesTheReader(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	const rounds = 100
	for round := range uint64(rounds) {
		f.talk(30, 100*time.Millisecond)
		f.want("it keeps up", false, round)
		f.send(stuckRing + 1) // right after it was heard
		f.step()
		f.want("it is overrun", true, round)
		f.talk(19, 100*time.Millisecond)
		f.want("silent for less than 2 s", true, round)
		f.talk(2, 100*time.Millisecond)
		f.want("silent for 2 s", false, round+1)
		received := f.p.Stats().Received
		f.talk(30, 100*time.Millisecond)
		if got := f.p.Stats().Received - received; got != 30 {
			t.Fatalf("received %d packets of 30 after the renewal", got)
		}
	}
	if log := f.log.String(); strings.Count(log, "a new epoch has begun") != rounds || strings.Count(log, peerSilent) != rounds {
		t.Errorf("want a line with the reason for each renewal:\n%s", log)
	}
}

// The peer may have answered what came before, and be stuck all the same: the
// ring that overran it began before it was last heard.
func TestRenewCountsFromBeforeItWasHeard(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	f.talk(30, 100*time.Millisecond)
	f.p.Hold(true)
	f.send(stuckRing + 1)
	f.c.now += 50 * time.Millisecond
	f.pulse.heard.Store(int64(f.c.now)) // an answer to what it had read before
	f.p.Hold(false)
	f.talk(stuckRing/2, 300*time.Millisecond) // fewer than the ring holds
	f.want("a moment later", false, 1)
}

// A few packets, each long after the last, are enough.
func TestRenewWithSparseTraffic(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	f.talk(1, time.Second)
	f.send(stuckRing + 1)
	f.talk(1, time.Minute)
	f.want("the first may be answered", true, 0)
	f.talk(1, time.Minute)
	f.want("it was not", false, 1)
}

// TCP's retransmissions come later and later.
func TestRenewWithRetransmissions(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	f.talk(10, 100*time.Millisecond)
	f.send(stuckRing + 1)
	for pause := 200 * time.Millisecond; pause < 4*time.Second; pause *= 2 {
		f.talk(1, pause)
	}
	f.want("after retransmissions for 6.2 s", false, 1)
}

func TestNothingIsRenewed(t *testing.T) {
	for _, c := range []struct {
		what  string
		renew time.Duration
		do    func(f *frail)
		stuck bool
	}{
		{"while the peer answers", 2 * time.Second, func(f *frail) {
			f.talk(20*stuckRing, 10*time.Millisecond)
			f.talk(20*stuckRing, time.Minute)
		}, false},
		{"before there was time for an answer", 2 * time.Second, func(f *frail) {
			f.talk(5*stuckRing, 10*time.Millisecond)
			for range 20 {
				f.c.now += time.Hour
				f.send(stuckRing / 2)
				f.step()
			}
		}, false},
		{"for less than a ring", 2 * time.Second, func(f *frail) {
			f.p.Hold(true)
			f.talk(stuckRing, 10*time.Second)
			f.p.Hold(false)
			f.step()
		}, false},
		{"with renew off", 0, func(f *frail) {
			f.send(stuckRing + 1)
			f.talk(1000, time.Second)
		}, true},
		{"without a peer", 2 * time.Second, func(f *frail) {
			f.pulse.state(false)
			f.send(stuckRing + 1)
			f.talk(1000, time.Second)
		}, true},
		{"for readers that are woken", 2 * time.Second, func(f *frail) {
			f.send(stuckRing + 1)
			f.s.wakes = true
			f.talk(1000, time.Second)
		}, true},
		{"while the writer is stopped", 2 * time.Second, func(f *frail) {
			f.send(stuckRing + 1)
			f.step()
			f.s.Stop()
			f.talk(100, time.Second)
		}, true},
		{"when nothing is sent", 2 * time.Second, func(f *frail) {
			f.send(stuckRing + 1)
			f.c.now += time.Hour
			f.step()
		}, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			f := newFrail(t, c.renew)
			c.do(f)
			f.want(c.what, c.stuck, 0)
		})
	}
}

// A peer that was heard and is dead now costs an epoch after 2, 4, 8 s and so on,
// at most every four minutes in the end, however much is sent. Heard again, it is
// helped as fast as at first.
func TestRenewalsAreFewForADeadPeer(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	f.talk(1, time.Second)
	f.p.Hold(true)
	flood := func(d time.Duration) (renewals uint64) {
		before := f.renewals()
		for end := f.c.now + d; f.c.now < end; {
			f.c.now += 100 * time.Millisecond
			f.send(3 * stuckRing)
		}
		return f.renewals() - before
	}
	if got := flood(2*time.Second + 4*time.Second + 8*time.Second + 16*time.Second + 2*time.Second); got != 4 {
		t.Errorf("%d renewals in 32 s, want 4", got)
	}
	flood(10 * time.Minute)
	if got := flood(time.Hour); got < 14 || got > 16 {
		t.Errorf("%d renewals in an hour, want one every 4 minutes", got)
	}
	f.p.Hold(false)
	f.s.w.Renew(0)
	f.talk(1, time.Second)
	f.want("alive", false, f.renewals())
	f.p.Hold(true)
	if got := flood(7 * time.Second); got != 2 {
		t.Errorf("%d renewals in 7 s after it was heard, want 2", got)
	}
}

// A peer that was never heard has nothing to say: each renewal would cost it
// packets. So has one that speaks now and then.
func TestSilentPeerKeepsItsEpoch(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	mute := func(n int) {
		for range n {
			f.c.now += 10 * time.Millisecond
			f.send(1)
			f.p.Step() // which is not heard
		}
	}
	mute(100 * stuckRing)
	f.want("never heard", false, 0)
	f.pulse.heard.Store(int64(f.c.now))
	mute(6000) // a minute
	if got := f.renewals(); got != 4 {
		t.Errorf("%d renewals in a minute after it was heard, want those after 2, 6, 14 and 30 s", got)
	}
}

// That the peer's writer starts is no packet: a peer that has done nothing else
// was not heard.
func TestStartIsNotHeard(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	in := f.inbound()
	f.c.now += time.Minute // after our own start
	f.unanswered(in, 6000)
	f.want("it has started and was never heard", false, 0)
	f.p.Boot()
	f.unanswered(in, 6000)
	f.want("it has started again", false, 1) // for that
	f.p.Send(make([]byte, 60))
	f.unanswered(in, 300)
	f.want("it was heard and fell silent", false, 2)
}

// A peer that has started has as long to speak as one that was heard.
func TestStartPutsRenewalsOff(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	in := f.inbound()
	f.c.now += time.Minute
	f.unanswered(in, 1)
	f.p.Send(make([]byte, 60))
	f.unanswered(in, 1)
	f.c.now += time.Hour
	f.p.Boot()
	in.burst()
	f.unanswered(in, 190)
	f.want("1.9 s after the start", false, 0)
	f.unanswered(in, 20)
	f.want("2.1 s after the start", false, 1)
}

// unanswered sends n packets, one every 10 ms, that the peer takes and says
// nothing to.
func (f *frail) unanswered(in *Inbound, n int) {
	for range n {
		f.c.now += 10 * time.Millisecond
		f.s.revive()
		f.s.send(make([]byte, 60), 0, &f.count)
		f.p.Step()
		in.burst()
	}
}

// A unikernel that starts again begins with the first element of the epoch, and
// is stuck at once if that is gone.
func TestRenewForAPeerThatStarts(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	in := f.inbound()
	in.burst()
	f.talk(stuckRing/2, 10*time.Millisecond)
	f.want("so far", false, 0)
	f.p.Boot()
	in.burst()
	f.talk(1, 10*time.Millisecond)
	f.want("all of the epoch is there", false, 0)

	f.talk(stuckRing, 10*time.Millisecond)
	f.p.Boot()
	f.step()
	f.want("booted late", true, 0)
	in.burst()
	f.talk(1, 10*time.Millisecond)
	f.want("after one packet", false, 1)
	if !strings.Contains(f.log.String(), peerStarted) {
		t.Error(f.log.String())
	}

	// One that does nothing else has to wait.
	for range 1000 {
		f.p.Boot()
		in.burst()
		f.c.now += 10 * time.Millisecond
		f.send(2 * stuckRing)
	}
	if got := f.renewals(); got > 6 {
		t.Errorf("%d renewals in 10 s", got)
	}
}

// inbound is what hears the peer, with bursts that the test runs.
func (f *frail) inbound() *Inbound {
	f.t.Helper()
	in, err := NewInbound(InboundConfig{Port: NewPort(PortConfig{Device: newFakeDevice(), Log: silent}), Region: f.in,
		Format: element.EthDev, Protocol: solo5.Protocol, Poll: time.Millisecond, Pulse: f.pulse, Log: silent,
		OnPeer: func(bool) {}, OnFault: func(err error) { f.t.Errorf("fault: %v", err) }})
	if err != nil {
		f.t.Fatal(err)
	}
	in.now = f.s.now
	if err := in.Resume(); err != nil {
		f.t.Fatal(err)
	}
	return in
}

// What an Inbound hears ends up in the Pulse.
func TestPulse(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	f.pulse.state(false)
	in := f.inbound()
	check := func(what string, heard bool, starts uint64, active bool) {
		t.Helper()
		f.pulse.heard.Store(0)
		in.burst()
		p := f.pulse
		if (p.heard.Load() > 0) != heard || p.starts.Load() != starts || p.active.Load() != active {
			t.Errorf("%s: heard %v, starts %d, active %v", what, p.heard.Load() > 0, p.starts.Load(), p.active.Load())
		}
	}
	check("nothing new", false, 1, true)
	f.p.Send(make([]byte, 60))
	check("a packet", true, 1, true)
	check("nothing more", false, 1, true)
	f.p.Boot()
	check("a start", false, 2, true)
	w, err := shmstream.NewWriter(f.in)
	if err != nil {
		t.Fatal(err)
	}
	h, err := shmstream.ReadHeader(f.in)
	if err != nil {
		t.Fatal(err)
	}
	renewed := shmstream.WriterConfig{Protocol: solo5.Protocol, Size: 1516, Epoch: h.Epoch + 1}
	if err := w.Start(renewed); err != nil {
		t.Fatal(err)
	}
	check("a renewal", false, 2, true)
	w.Stop()
	check("a stop", false, 2, false)
	if err := w.Start(shmstream.WriterConfig{Protocol: solo5.Protocol, Size: 1516}); err != nil {
		t.Fatal(err)
	}
	check("another start", false, 3, true)
	in.Pause()
	if f.pulse.active.Load() {
		t.Error("a paused Inbound has a peer")
	}
}

// Two that both renew do not set each other off: each would take the other's new
// epoch for a start, and begin one in turn.
func TestRenewalsDoNotEcho(t *testing.T) {
	a, b := newFrail(t, 2*time.Second), newFrail(t, 2*time.Second)
	// Each hears what the other's Sender writes.
	a.in, b.in = b.s.cfg.Region, a.s.cfg.Region
	ends := []*frail{a, b}
	ins := []*Inbound{a.inbound(), b.inbound()}
	round := func() {
		for i, f := range ends {
			f.c.now += 50 * time.Millisecond
			f.send(2 * stuckRing)
			ins[i].burst()
		}
	}
	for range 100 {
		round()
	}
	if a.renewals() != 0 || b.renewals() != 0 {
		t.Fatalf("%d and %d renewals although both are heard", a.renewals(), b.renewals())
	}
	if err := a.s.Start(a.s.w.Size()); err != nil { // as a change of the MTU does
		t.Fatal(err)
	}
	for range 1000 {
		round()
	}
	if a.renewals() != 0 || b.renewals() != 1 {
		t.Errorf("%d and %d renewals, want that of b only", a.renewals(), b.renewals())
	}
}

// Whoever has written the coming epoch into the channel does not prevent it.
func TestRenewWithTheEpochTaken(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	f.talk(1, time.Second)
	f.send(stuckRing + 1)
	f.step()
	f.talk(1, time.Minute)
	f.c.now += time.Minute
	next := f.s.w.Epoch() + 1
	_, epoch := doorbell.Words(f.s.cfg.Region)
	*epoch = uint32(next)
	f.send(1)
	if got := f.s.Status(); got.Renewals != 1 || got.Epoch == 0 || got.Epoch == next {
		t.Errorf("%+v, want an epoch other than %#x", got, next)
	}
	f.step()
	f.want("afterwards", false, 1)
}

func TestRenewDoesNotAllocate(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	if n := testing.AllocsPerRun(1000, func() {
		f.c.now += 10 * time.Millisecond
		f.send(1)
		f.pulse.heard.Store(int64(f.c.now))
	}); n != 0 {
		t.Errorf("%v allocations for a packet", n)
	}
}
