package link_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
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

// newWatcher returns a watcher whose home is home, with its events.
func newWatcher(t *testing.T, home *testnet.NS) (w *link.Watcher, events chan link.Event) {
	t.Helper()
	events = make(chan link.Event, 1<<16)
	home.Do(func() {
		var err error
		if w, err = link.NewWatcher(func(e link.Event) { events <- e }); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(w.Close)
	return w, events
}

func add(t *testing.T, w *link.Watcher, ns *testnet.NS) {
	t.Helper()
	if id, err := w.Watch(ns.FD()); err != nil || id != ns.ID() {
		t.Fatalf("namespace %d, %v; want %d", id, err, ns.ID())
	}
}

// places runs a test on interface d0 of the watcher's home, and of another
// namespace.
func places(t *testing.T, test func(t *testing.T, ns *testnet.NS, h *link.Handle, index int, events <-chan link.Event)) {
	t.Run("home", func(t *testing.T) {
		ns, h, index := setup(t)
		w, events := newWatcher(t, ns)
		add(t, w, ns)
		test(t, ns, h, index, events)
	})
	t.Run("elsewhere", func(t *testing.T) {
		ns, h, index := setup(t)
		w, events := newWatcher(t, testnet.New(t))
		add(t, w, ns)
		add(t, w, ns) // changes nothing
		test(t, ns, h, index, events)
	})
}

func TestWatcherReportsInOrder(t *testing.T) {
	places(t, func(t *testing.T, ns *testnet.NS, h *link.Handle, index int, events <-chan link.Event) {
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
			next(t, events, func(e link.Event) bool {
				return e.Kind == link.Changed && e.NetNS == ns.ID() && e.State.Index == index && step.seen(e.State)
			})
		}
		if err := h.Delete(index); err != nil {
			t.Fatal(err)
		}
		next(t, events, func(e link.Event) bool {
			return e.Kind == link.Deleted && e.NetNS == ns.ID() && e.State.Index == index && e.State.Name == "d1"
		})
	})
}

func TestWatcherIgnoresBridgePorts(t *testing.T) {
	places(t, func(t *testing.T, ns *testnet.NS, h *link.Handle, index int, events <-chan link.Event) {
		ns.MustRun("ip", "link", "add", "br0", "type", "bridge")
		ns.MustRun("ip", "link", "set", "d0", "master", "br0")
		ns.MustRun("ip", "link", "set", "d0", "nomaster")
		if err := h.SetAlias(index, "end"); err != nil {
			t.Fatal(err)
		}
		for _, e := range next(t, events, func(e link.Event) bool { return e.State.Alias == "end" }) {
			if e.Kind == link.Deleted {
				t.Errorf("a port that left its bridge was reported as deleted: %+v", e)
			}
		}
	})
}

func TestWatcherSeesMovesAsDeletion(t *testing.T) {
	ns, h, index := setup(t)
	there := testnet.New(t)
	w, events := newWatcher(t, ns)
	add(t, w, there)
	for range 3 {
		if err := h.MoveToNetNS(index, there.FD()); err != nil {
			t.Fatal(err)
		}
		next(t, events, func(e link.Event) bool { return e.Kind == link.Deleted && e.NetNS == ns.ID() && e.State.Index == index })
		next(t, events, func(e link.Event) bool {
			return e.Kind == link.Changed && e.NetNS == there.ID() && e.State.Name == "d0"
		})
		if err := there.Link().MoveToNetNS(there.Index("d0"), ns.FD()); err != nil {
			t.Fatal(err)
		}
		next(t, events, func(e link.Event) bool { return e.Kind == link.Deleted && e.NetNS == there.ID() })
		next(t, events, func(e link.Event) bool { return e.Kind == link.Changed && e.NetNS == ns.ID() && e.State.Name == "d0" })
	}
}

// Home may have a number in itself, and get it at any time: then its own events
// come with a number, too.
func TestWatcherKnowsHomeByNumber(t *testing.T) {
	ns, h, index := setup(t)
	w, events := newWatcher(t, ns)
	add(t, w, testnet.New(t))
	ns.Do(func() {
		if err := netlink.SetNetNsIdByFd(ns.FD(), 5); err != nil {
			t.Fatal(err)
		}
	})
	next(t, events, func(e link.Event) bool { return e.Kind == link.Missed })
	if err := h.SetAlias(index, "numbered"); err != nil {
		t.Fatal(err)
	}
	next(t, events, func(e link.Event) bool { return e.NetNS == ns.ID() && e.State.Alias == "numbered" })
	add(t, w, testnet.New(t))
}

// Namespaces that are not watched are heard of by the kernel's numbers, too.
func TestWatcherLeavesOthersOut(t *testing.T) {
	home, other := testnet.New(t), testnet.New(t)
	ns, h, index := setup(t)
	w, events := newWatcher(t, home)
	home.AddVeth("v0", other, "v1") // numbers both ends' namespaces
	add(t, w, ns)
	if err := other.Link().SetAlias(other.Index("v1"), "not watched"); err != nil {
		t.Fatal(err)
	}
	if err := h.SetAlias(index, "watched"); err != nil {
		t.Fatal(err)
	}
	for _, e := range next(t, events, func(e link.Event) bool { return e.State.Alias == "watched" }) {
		if e.NetNS == other.ID() || e.State.Alias == "not watched" {
			t.Errorf("event %+v of a namespace that is not watched", e)
		}
	}
}

// The watcher neither keeps a namespace alive nor takes a later one for it.
func TestWatchedNamespaceDies(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	w, events := newWatcher(t, testnet.New(t))
	for range 5 {
		fd, err := link.NewNetNS()
		if err != nil {
			t.Fatal(err)
		}
		id, err := w.Watch(fd)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		before := next(t, events, func(e link.Event) bool { return e.Kind == link.Died })
		if got := before[len(before)-1].NetNS; got != id {
			t.Errorf("namespace %d died, want %d", got, id)
		}
	}
}

func TestWatcherCloses(t *testing.T) {
	ns, h, index := setup(t)
	w, events := newWatcher(t, ns)
	if _, err := w.Watch(1 << 20); err == nil {
		t.Error("watches a namespace that is not there")
	}
	w.Close()
	w.Close()
	n := len(events)
	if err := h.SetDown(index); err != nil {
		t.Fatal(err)
	}
	if len(events) != n {
		t.Errorf("reported after Close: %+v", <-events)
	}
	if _, err := w.Watch(testnet.New(t).FD()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("watch after Close: %v", err)
	}
}

// What changes once a namespace is watched is reported.
func TestWatcherMissesNothingAtItsStart(t *testing.T) {
	ns, h, index := setup(t)
	w, events := newWatcher(t, testnet.New(t))
	for i := range 50 {
		busy := make(chan error)
		go func() { busy <- h.SetAlias(index, fmt.Sprint("before ", i)) }()
		add(t, w, ns)
		want := fmt.Sprint("alias ", i)
		if err := errors.Join(<-busy, h.SetAlias(index, want)); err != nil {
			t.Fatal(err)
		}
		next(t, events, func(e link.Event) bool { return e.State.Alias == want })
	}
}

func TestWatcherTellsOfLostEvents(t *testing.T) {
	ns, h, index := setup(t)
	hold, held := make(chan struct{}), make(chan struct{})
	events := make(chan link.Event, 1<<16)
	first := true
	var w *link.Watcher
	testnet.New(t).Do(func() {
		var err error
		w, err = link.NewWatcher(func(e link.Event) {
			if first {
				first = false
				close(held)
				<-hold // until the kernel has had to drop events
			}
			events <- e
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(w.Close)
	w.Shrink()
	add(t, w, ns)
	for i := range 200 {
		if err := h.SetAlias(index, fmt.Sprint("alias ", i)); err != nil {
			t.Fatal(err)
		}
	}
	<-held
	close(hold)
	before := next(t, events, func(e link.Event) bool { return e.Kind == link.Missed })
	if slices.ContainsFunc(before, func(e link.Event) bool { return e.State.Alias == "alias 199" }) {
		t.Fatal("no event was lost: the test has tested nothing")
	}
	add(t, w, ns)
	if err := h.SetAlias(index, "last"); err != nil {
		t.Fatal(err)
	}
	for _, e := range next(t, events, func(e link.Event) bool { return e.State.Alias == "last" }) {
		if e.State.Alias != "last" && e.Kind == link.Changed {
			t.Errorf("reported after the loss: %+v, which is older", e.State)
		}
	}
}

func TestSupersedes(t *testing.T) {
	here := link.Event{NetNS: 1, State: link.State{Index: 2, Name: "new"}}
	for _, c := range []struct {
		earlier link.Event
		want    bool
	}{
		{link.Event{NetNS: 1, State: link.State{Index: 2, Name: "old"}}, true},
		{link.Event{Kind: link.Deleted, NetNS: 1, State: link.State{Index: 2}}, false},
		{link.Event{NetNS: 2, State: link.State{Index: 2}}, false},
		{link.Event{NetNS: 1, State: link.State{Index: 3}}, false},
	} {
		if got := here.Supersedes(c.earlier); got != c.want {
			t.Errorf("%+v supersedes %+v: %v, want %v", here, c.earlier, got, c.want)
		}
	}
}
