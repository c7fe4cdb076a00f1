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

// stuckRing is the number of elements in the channels of these tests.
const stuckRing = 16

// frail is a Sender, and the peer for which it renews. Time passes when the
// test says so.
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
	f.pulse.setActive(true)
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

// step has the peer look. The Sender hears what it answers.
func (f *frail) step() {
	before := f.p.Stats().Sent
	f.p.Step()
	if f.p.Stats().Sent > before {
		f.pulse.heard.Store(int64(f.c.now))
	}
}

// talk sends n packets, one at a time, and has the peer look after each.
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
		f.send(stuckRing + 1) // right after the peer was heard
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
	if log := f.log.String(); strings.Count(log, "new epoch on the out-channel") != rounds || strings.Count(log, peerSilent) != rounds {
		t.Errorf("want a line with the reason for each renewal:\n%s", log)
	}
}

// A peer that has just answered older packets may be stuck: the burst that
// overran it began before it was last heard.
func TestRenewCountsFromBeforeItWasHeard(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	f.talk(30, 100*time.Millisecond)
	f.p.Hold(true)
	f.send(stuckRing + 1)
	f.c.now += 50 * time.Millisecond
	f.pulse.heard.Store(int64(f.c.now)) // an answer to older packets
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

// The pauses between TCP's retransmissions grow.
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
			f.pulse.setActive(false)
			f.send(stuckRing + 1)
			f.talk(1000, time.Second)
		}, true},
		{"for readers that are woken", 2 * time.Second, func(f *frail) {
			f.send(stuckRing + 1)
			f.s.readers.wakes = true
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

// A peer that was heard and is dead now costs an epoch after 2, 4, 8 s and so
// on, in the end one in four minutes. Once it is heard again it is freed as
// fast as at first.
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
	f.talk(2, time.Second)
	f.want("alive", false, f.renewals())
	f.p.Hold(true)
	if got := flood(7 * time.Second); got != 2 {
		t.Errorf("%d renewals in 7 s after it was heard, want 2", got)
	}
}

// A peer that was never heard has nothing to say. Each renewal would cost it
// packets.
func TestSilentPeerKeepsItsEpoch(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	mute := func(n int) {
		for range n {
			f.c.now += 10 * time.Millisecond
			f.send(1)
			f.p.Step() // its answer is not heard
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

// Another process that writes the next epoch into the channel does not prevent
// the renewal.
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
