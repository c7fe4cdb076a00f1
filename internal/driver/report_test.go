package driver

import (
	"testing"
	"time"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/testnet"
)

// within fails the test if f hangs.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: hangs", what)
	}
}

// One interface hangs, as in a page fault on a file system that is stuck.
func TestOneHangsAndOthersGoOn(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	other := netHdr("net1")
	other.In, other.Out = "b", "c"
	stuck := netHdr("net0")
	stuck.Out = ""
	l.mustLoad(d, stuck, other)
	must(t, d.AddChild("net1", "child1"))
	index := l.ns.State("net1").Index
	d.Status()

	p := d.parents[0]
	p.mu.Lock()
	must(t, l.ns.Link().SetName(l.ns.State("net0").Index, "other0"))
	for mtu := 1380; mtu <= 1400; mtu++ { // events that hang
		must(t, l.ns.Link().SetMTU(l.ns.State("other0").Index, mtu))
	}
	must(t, l.ns.Link().SetUp(index))
	var all []api.Interface
	for range 3 {
		within(t, "status", func() { all = d.Status() })
	}
	if len(all) != 2 || all[0].Stale == "" || all[0].Name != "net0" || all[0].MTU != 1500 || all[1].Stale != "" {
		t.Errorf("status %+v; want net0 as it was, marked as stale, and net1", all)
	}
	within(t, "following another", func() {
		testnet.Eventually(t, "net1 up", func() bool { return d.Status()[1].Up })
	})
	within(t, "changing another", func() {
		must(t, d.AddMark("child1", 7))
		must(t, d.Unload("net1"))
	})
	p.inbox.mu.Lock()
	if n := len(p.inbox.queue); n > 2 {
		t.Errorf("%d events wait: they pile up", n)
	}
	p.inbox.mu.Unlock()
	p.mu.Unlock()
	testnet.Eventually(t, "answer", func() bool {
		s := status(t, d)
		return s.Stale == "" && s.Name == "other0" && s.MTU == 1400
	})
}

// A status that was being gathered when it was asked for may be too old.
func TestReporterGathersAnew(t *testing.T) {
	var r reporter
	begun, goOn := make(chan int, 10), make(chan bool)
	n := 0
	gather := func() *api.Interface {
		n++
		begun <- n
		<-goOn
		return &api.Interface{Index: n}
	}
	first := r.ask(gather)
	<-begun
	second, third := r.ask(gather), r.ask(gather)
	if first == second || second != third {
		t.Error("two that ask while it is gathered want one more gathering")
	}
	goOn <- true
	<-first
	if s, _ := r.last(); s.Index != 1 {
		t.Errorf("gathering %d, want 1", s.Index)
	}
	<-begun
	goOn <- true
	<-second
	if s, _ := r.last(); s.Index != 2 || n != 2 {
		t.Errorf("gathering %d of %d, want 2 of 2", s.Index, n)
	}
}
