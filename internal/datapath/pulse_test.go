package datapath

import (
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/testnet/solo5"
	"github.com/muennet/muennet/shmstream"
)

// In these tests an Inbound hears the peer for which a Sender renews epochs.

// The start of the peer's writer is no packet: a peer that has only started was
// not heard.
func TestStartIsNotHeard(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	in := f.inbound()
	f.c.now += time.Minute // after the start of the Sender
	f.unanswered(in, 6000)
	f.want("it has started and was never heard", false, 0)
	f.p.Boot()
	f.unanswered(in, 6000)
	f.want("it has started again", false, 1) // for that
	f.p.Send(make([]byte, 60))
	f.unanswered(in, 300)
	f.want("it was heard and fell silent", false, 2)
}

// After a start the peer has as long to speak as after a packet.
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

// unanswered sends n packets, one every 10 ms, that the peer reads and does not
// answer.
func (f *frail) unanswered(in *Inbound, n int) {
	for range n {
		f.c.now += 10 * time.Millisecond
		f.s.revive()
		f.s.send(make([]byte, 60), 0, &f.count)
		f.p.Step()
		in.burst()
	}
}

// A unikernel that starts again begins with the first element of the epoch. If
// that is gone it is stuck at once.
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

	// A peer that only starts has to wait.
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

// inbound returns an Inbound that hears the peer. The test runs its bursts.
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

// An Inbound tells the Pulse what it hears.
func TestPulse(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	f.pulse.setActive(false)
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

// Two peers that both renew do not set each other off. They would if each took
// the other's renewal for a start.
func TestRenewalsDoNotEcho(t *testing.T) {
	a, b := newFrail(t, 2*time.Second), newFrail(t, 2*time.Second)
	// Each hears the other.
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
		t.Errorf("%d and %d renewals, want 0 and 1", a.renewals(), b.renewals())
	}
}
