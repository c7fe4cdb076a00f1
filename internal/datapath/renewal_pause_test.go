package datapath

import (
	"testing"
	"time"
)

// A stream to a healthy peer that only answers ARP now and then costs few
// epochs. Once the peer talks again, it is freed as fast as at first.
func TestRenewalsAreFewForOneWayTraffic(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	const minutes = 60
	for i := range minutes * 60 * 10 {
		f.c.now += 100 * time.Millisecond
		f.send(3)
		f.p.Step() // its answer is not heard
		if i%350 == 0 {
			f.pulse.heard.Store(int64(f.c.now))
		}
	}
	if got := f.renewals(); got < 1 || got > 10 {
		t.Errorf("%d renewals in %d minutes", got, minutes)
	}
	f.talk(5, 100*time.Millisecond)
	renewals := f.renewals()
	f.send(stuckRing + 1)
	f.step()
	f.want("it is overrun", true, renewals)
	f.talk(22, 100*time.Millisecond)
	f.want("2.2 s later", false, renewals+1)
}

// A stuck peer is freed each time, even if it is soon stuck again.
func TestRenewFreesEachTime(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	f.talk(1, 100*time.Millisecond)
	for n := range uint64(100) {
		f.send(stuckRing + 1)
		f.step()
		f.want("it is overrun", true, n)
		f.talk(22, 100*time.Millisecond)
		f.want("2.2 s later", false, n+1)
	}
}

// An epoch in which the peer was not heard is renewed after minutes, if the
// peer was heard before.
func TestRenewIfNotHeardInThisEpoch(t *testing.T) {
	f := newFrail(t, 2*time.Second)
	f.talk(1, 100*time.Millisecond)
	if err := f.s.Start(f.s.w.Size()); err != nil {
		t.Fatal(err)
	}
	begun := f.c.now
	f.send(stuckRing + 1)
	f.step()
	for f.c.now-begun < maxRenewPause-time.Second {
		f.talk(1, time.Second)
	}
	f.want("soon", true, 0)
	f.talk(5, time.Second)
	f.want("after minutes", false, 1)
}
