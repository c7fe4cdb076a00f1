package link_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/testnet"
)

// next waits for an event that fulfils ok and returns it with those before it.
func next(t *testing.T, events <-chan link.Event, ok func(link.Event) bool) (skipped []link.Event) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case e := <-events:
			skipped = append(skipped, e)
			if ok(e) {
				return skipped
			}
		case <-timeout:
			t.Fatalf("no such event; there were %+v", skipped)
		}
	}
}

func watch(t *testing.T, ns *testnet.NS) <-chan link.Event {
	t.Helper()
	events := make(chan link.Event, 1<<16)
	stop, err := link.Watch(ns.FD(), func(e link.Event) { events <- e })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return events
}

func TestWatchReportsInOrder(t *testing.T) {
	ns, h, index := setup(t)
	events := watch(t, ns)
	next(t, events, func(e link.Event) bool { return e.State.Name == "d0" && e.State.Up && !e.Deleted })
	steps := []struct {
		change func() error
		seen   func(link.State) bool
	}{
		{func() error { return h.SetDown(index) }, func(s link.State) bool { return !s.Up }},
		{func() error { return h.SetUp(index) }, func(s link.State) bool { return s.Up && s.Carrier }},
		{func() error { return h.SetMTU(index, 1400) }, func(s link.State) bool { return s.MTU == 1400 }},
		{func() error { return h.SetAlias(index, "a") }, func(s link.State) bool { return s.Alias == "a" }},
		{func() error { return h.SetDown(index) }, func(s link.State) bool { return !s.Up }},
		{func() error { return h.SetName(index, "d1") }, func(s link.State) bool { return s.Name == "d1" }},
	}
	for i, step := range steps {
		if err := step.change(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	for _, step := range steps {
		next(t, events, func(e link.Event) bool { return !e.Deleted && e.State.Index == index && step.seen(e.State) })
	}
	if err := h.Delete(index); err != nil {
		t.Fatal(err)
	}
	next(t, events, func(e link.Event) bool { return e.Deleted && e.State.Index == index && e.State.Name == "d1" })
}

func TestWatchSeesMovesAsDeletion(t *testing.T) {
	ns, h, index := setup(t)
	there := testnet.New(t)
	hereEvents, thereEvents := watch(t, ns), watch(t, there)
	if err := h.MoveToNetNS(index, there.FD()); err != nil {
		t.Fatal(err)
	}
	next(t, hereEvents, func(e link.Event) bool { return e.Deleted && e.State.Name == "d0" })
	next(t, thereEvents, func(e link.Event) bool { return !e.Deleted && e.State.Name == "d0" })
}

func TestWatchIgnoresBridgePorts(t *testing.T) {
	ns, h, index := setup(t)
	ns.MustRun("ip", "link", "add", "br0", "type", "bridge")
	events := watch(t, ns)
	ns.MustRun("ip", "link", "set", "d0", "master", "br0")
	ns.MustRun("ip", "link", "set", "d0", "nomaster")
	if err := h.SetAlias(index, "end"); err != nil {
		t.Fatal(err)
	}
	for _, e := range next(t, events, func(e link.Event) bool { return e.State.Alias == "end" }) {
		if e.Deleted {
			t.Errorf("a port that left its bridge was reported as deleted: %+v", e)
		}
	}
}

func TestWatchStops(t *testing.T) {
	ns, h, index := setup(t)
	calls := make(chan link.Event, 100)
	stop, err := link.Watch(ns.FD(), func(e link.Event) { calls <- e })
	if err != nil {
		t.Fatal(err)
	}
	stop()
	stop()
	n := len(calls)
	if err := h.SetDown(index); err != nil {
		t.Fatal(err)
	}
	if len(calls) != n {
		t.Errorf("called after stop with %+v", <-calls)
	}
	if _, err := link.Watch(1<<20, func(link.Event) {}); err == nil {
		t.Error("watches a namespace that is not there")
	}
}

// What changes while the watcher starts is in its first list or follows.
func TestWatchMissesNothingAtItsStart(t *testing.T) {
	ns, h, index := setup(t)
	for i := range 50 {
		done := make(chan error)
		want := fmt.Sprint("alias ", i)
		go func() { done <- h.SetAlias(index, want) }()
		events := watch(t, ns)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		next(t, events, func(e link.Event) bool { return e.State.Alias == want })
	}
}

func TestWatchCatchesUpAfterLostEvents(t *testing.T) {
	ns, h, index := setup(t)
	ns.MustRun("ip", "tuntap", "add", "gone", "mode", "tap")
	gone := ns.Index("gone")
	hold := make(chan struct{})
	known := make(map[string]link.State)
	caughtUp := make(chan struct{})
	first := true
	stop, lost, err := link.WatchLossy(ns.FD(), func(e link.Event) {
		if first {
			<-hold // until the kernel has had to drop events
			first = false
		}
		if e.Deleted {
			delete(known, e.State.Name)
		} else {
			known[e.State.Name] = e.State
		}
		_, stillThere := known["gone"]
		if known["d0"].Alias == "last" && !stillThere && known["new"].Name == "new" {
			select {
			case <-caughtUp:
			default:
				close(caughtUp)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	for i := range 200 {
		if err := h.SetAlias(index, fmt.Sprint("alias ", i)); err != nil {
			t.Fatal(err)
		}
	}
	// All of these come when the buffer is full.
	if err := h.Delete(gone); err != nil {
		t.Fatal(err)
	}
	ns.MustRun("ip", "tuntap", "add", "new", "mode", "tap")
	if err := h.SetAlias(index, "last"); err != nil {
		t.Fatal(err)
	}
	close(hold)
	select {
	case <-caughtUp:
	case <-time.After(30 * time.Second):
		t.Fatal("never caught up")
	}
	stop()
	if lost() == 0 {
		t.Error("no event was lost: the test has tested nothing")
	}
}
