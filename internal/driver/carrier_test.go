package driver

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/testnet"
)

// change is a new state and when it came.
type change struct {
	after time.Duration // since the beginning
	state bool
}

func (c change) String() string { return fmt.Sprintf("%v at %v", c.state, c.after) }

// flaps returns n changes at equal distances, the first one to true.
func flaps(begin, distance time.Duration, n int) (all []change) {
	for i := range n {
		all = append(all, change{begin + time.Duration(i)*distance, i%2 == 0})
	}
	return all
}

// shownBy returns what a holdDown shows of changes.
func shownBy(changes []change) (shown []change) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var h holdDown
	for i, c := range changes {
		now := begin.Add(c.after)
		h.want(now, c.state)
		for {
			wait, due := h.next(now)
			now = now.Add(wait)
			if !due || (i+1 < len(changes) && now.Sub(begin) >= changes[i+1].after) {
				break
			}
			shown = append(shown, change{now.Sub(begin), h.show(now)})
		}
	}
	return shown
}

func TestHoldDown(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name          string
		changes, want []change
	}{
		{"nothing new", []change{{0, false}}, nil},
		{"calm", []change{{0, true}, {2000 * ms, false}, {4000 * ms, true}}, []change{{0, true}, {2000 * ms, false}, {4000 * ms, true}}},
		{"a restart", []change{{0, true}, {9000 * ms, false}, {9001 * ms, true}}, []change{{0, true}, {9000 * ms, false}, {9050 * ms, true}}},
		{"there and back within the hold", []change{{0, true}, {10 * ms, false}, {20 * ms, true}}, []change{{0, true}}},
		{"held longer each time", flaps(0, 60*ms, 4), []change{{0, true}, {60 * ms, false}, {160 * ms, true}, {360 * ms, false}}},
		{"the last one is shown", flaps(0, ms, 101), []change{{0, true}, {51 * ms, false}, {151 * ms, true}}},
		{"whole again after some calm", append(flaps(0, 60*ms, 4), flaps(2200*ms, 60*ms, 2)...),
			[]change{{0, true}, {60 * ms, false}, {160 * ms, true}, {360 * ms, false}, {2200 * ms, true}, {2260 * ms, false}}},
	} {
		if got := shownBy(c.changes); !slices.Equal(got, c.want) {
			t.Errorf("%s: shown %v, want %v", c.name, got, c.want)
		}
	}
}

// However often the peer comes and goes, only a few changes per second are
// shown, and always the last one.
func TestHoldDownFloods(t *testing.T) {
	for _, distance := range []time.Duration{time.Microsecond * 100, 7 * time.Millisecond, 100 * time.Millisecond, 999 * time.Millisecond} {
		for _, n := range []int{5000, 5001} {
			changes := flaps(time.Second, distance, n)
			shown := shownBy(changes)
			last, flood := shown[len(shown)-1], changes[n-1].after-changes[0].after
			if last.state != changes[n-1].state || last.after > changes[n-1].after+mostHold {
				t.Errorf("changes each %v: the last one is %v, shown %v", distance, changes[n-1], last)
			}
			if most := 5 + int(flood/mostHold); len(shown) > most {
				t.Errorf("changes each %v: %d shown in %v, want %d at most", distance, len(shown), flood, most)
			}
		}
	}
}

// told collects what a presence tells.
func told(p *presence) *[]change {
	var all []change
	begin := time.Now()
	p.tell = func(present bool) { all = append(all, change{time.Since(begin), present}) }
	return &all
}

func TestPresence(t *testing.T) {
	const ms = time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		var p presence
		got := told(&p)
		for _, c := range flaps(0, time.Millisecond, 200) {
			p.set(c.state)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if last := (*got)[len(*got)-1]; (*got)[0] != (change{0, true}) || last.state || len(*got) > 4 {
			t.Errorf("told %v", *got)
		}
		// The flapping is over.
		n := len(*got)
		p.set(true)
		p.set(false)
		p.set(true)
		p.reset()
		synctest.Wait()
		if len(*got) != n+1 || (*got)[n] != (change{1200 * ms, true}) {
			t.Errorf("after a reset: told %v", (*got)[n:])
		}
		p.close()
		p.set(false)
		time.Sleep(time.Minute)
		if len(*got) != n+1 {
			t.Errorf("after close: told %v", (*got)[n+1:])
		}
	})
}

// reset and close end a hold.
func TestPresenceIsRoused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p presence
		got := told(&p)
		p.set(true)
		synctest.Wait()
		p.set(false)
		synctest.Wait()
		p.reset()
		synctest.Wait()
		if want := []change{{0, true}, {0, false}}; !slices.Equal(*got, want) {
			t.Errorf("told %v, want %v", *got, want)
		}
		p.set(true)
		synctest.Wait()
		p.close() // waits for nothing but the goroutine
		if len(*got) != 2 {
			t.Errorf("told %v", *got)
		}
	})
}

// set does not wait for slow devices, and a device that joins is told what the
// others were told.
func TestPresenceDoesNotBlock(t *testing.T) {
	var p presence
	telling, release := make(chan bool), make(chan struct{})
	p.tell = func(present bool) {
		telling <- present
		<-release
	}
	p.set(true)
	if !<-telling {
		t.Error("told false")
	}
	p.set(false) // would be a deadlock
	p.set(true)
	joined := make(chan bool)
	go p.join(func(present bool) { joined <- present })
	close(release)
	if !<-joined {
		t.Error("one that has joined is told false")
	}
	p.close()
}

// A peer that comes and goes as fast as it can causes few log lines, and in the
// end every device has the carrier of its last state, in any namespace.
func TestFlappingPeer(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	i := netHdr("net0")
	i.Carrier = config.CarrierPeer
	begin := time.Now()
	l.mustLoad(d, i)
	l.up(d, "net0")
	l.child(d, "child0")
	l.child(d, "moved")
	there := testnet.New(t)
	must(t, l.ns.Link().MoveToNetNS(l.ns.State("moved").Index, there.FD()))
	testnet.Eventually(t, "move", func() bool { return childStatus(t, d, "moved").NetNS == there.ID() })
	must(t, there.Link().SetUp(there.Index("moved")))
	p := l.peer("a")
	for n := range 3 {
		for first := status(t, d).Reader.Epochs; status(t, d).Reader.Epochs < first+100; {
			for range 20 {
				p.start()
				p.ring()
				time.Sleep(100 * time.Microsecond) // or it would seldom be seen
				p.w.Stop()
				p.ring()
				time.Sleep(100 * time.Microsecond)
			}
		}
		active := n%2 == 0
		if active {
			p.start()
		}
		testnet.Eventually(t, "carrier", func() bool {
			moved, err := there.Link().ByName("moved")
			must(t, err)
			return l.ns.State("net0").Carrier == active && l.ns.State("child0").Carrier == active && moved.Carrier == active
		})
		// A new child has it, too.
		l.child(d, "new")
		testnet.Eventually(t, "carrier of a new child", func() bool { return l.ns.State("new").Carrier == active })
		must(t, d.DeleteChild("new"))
	}
	if n, most := l.log.count("msg=peer "), 10+1+int(time.Since(begin)/(20*time.Second)); n > most {
		t.Errorf("%d log lines, want %d at most", n, most)
	}
	// Shown at once: the peer did not cause down and up.
	for range 20 {
		l.down(d, "net0")
		l.up(d, "net0")
		testnet.Eventually(t, "carrier", func() bool { return l.ns.State("net0").Carrier })
	}
}

// The kernel gives an adopted device a carrier. If the peer is gone, the driver
// takes it away, from parent and child.
func TestAdoptedCarrier(t *testing.T) {
	l := newLab(t)
	i := netHdr("net0")
	i.Carrier = config.CarrierPeer
	load := func() *Driver {
		d := l.driver()
		l.mustLoad(d, i)
		l.up(d, "net0")
		return d
	}
	carrier := func(want bool) {
		t.Helper()
		testnet.Eventually(t, "carrier", func() bool { return l.ns.State("net0").Carrier == want && l.ns.State("child0").Carrier == want })
	}
	d := load()
	l.child(d, "child0")
	p := l.peer("a")
	p.start()
	carrier(true)
	crash(d)
	p.w.Stop()
	d = load()
	if c := childStatus(t, d, "child0"); !c.Adopted {
		t.Errorf("%+v", c)
	}
	carrier(false)
	p.start()
	carrier(true)
	crash(d)
	load()
	carrier(true)
}
