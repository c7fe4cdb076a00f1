package driver

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/testnet"
)

// loadUp loads net0 and sets it up.
func (l *lab) loadUp(d *Driver) {
	l.t.Helper()
	l.mustLoad(d, netHdr("net0"))
	l.up(d, "net0")
}

func TestDeletedAndLoadedAtOnce(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	for range 10 {
		l.loadUp(d)
		must(t, l.ns.Link().Delete(l.ns.State("net0").Index))
		l.mustLoad(d, netHdr("net0"))
		must(t, d.UnloadAll())
	}
}

// The process may end as soon as Unload or Close returns: by then the writer is
// inactive, even if the kernel deleted the device before.
func TestDeletedAndUnloadedAtOnce(t *testing.T) {
	l := newLab(t)
	for _, end := range []func(*Driver) error{(*Driver).UnloadAll, (*Driver).Close} {
		for range 5 {
			d := l.driver()
			l.loadUp(d)
			must(t, l.ns.Link().Delete(l.ns.State("net0").Index))
			must(t, end(d))
			if epoch := l.header("b").Epoch; epoch != 0 {
				t.Fatalf("epoch %#x of a writer that has ended", epoch)
			}
			must(t, d.Close())
		}
	}
}

// A child is deleted during a request about it.
func TestDeletionWaitsForTheRequest(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.loadUp(d)
	must(t, d.AddChild("net0", "child0"))
	p := l.peer("a")
	p.start()
	testnet.Eventually(t, "peer", func() bool { return status(t, d).Reader.Peer == "active" })

	d.lock()
	end := sync.OnceFunc(d.change.Unlock)
	defer end()
	c, err := d.childNamed("child0")
	must(t, err)
	must(t, l.ns.Link().Delete(l.ns.State("child0").Index))
	testnet.Eventually(t, "deletion", func() bool { return c.dev.Gone() || c.isClosed() })
	time.Sleep(50 * time.Millisecond) // for what must not happen
	if c.isClosed() {
		t.Error("child was closed beside a request")
	}
	must(t, c.addMark(7))
	end()

	testnet.Eventually(t, "close", c.isClosed)
	if err := d.AddMark("child0", 8); !errors.Is(err, api.ErrUnknown) {
		t.Errorf("mark for a child that was deleted: %v", err)
	}
	if !l.log.contains("interface was deleted") {
		t.Error("nothing is said about the deletion")
	}
	p.sendMarked(7, packet(1))
	testnet.Eventually(t, "packet of a mark that the child had", func() bool { return status(t, d).Stats.RxPackets == 1 })
}

// A child and its parent are deleted together.
func TestFamilyIsDeletedTogether(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.loadUp(d)
	must(t, d.AddChild("net0", "child0"))
	must(t, d.AddMark("child0", 7))
	d.lock()
	must(t, l.ns.Link().Delete(l.ns.State("child0").Index))
	must(t, l.ns.Link().Delete(l.ns.State("net0").Index))
	d.change.Unlock()
	testnet.Eventually(t, "deletion", func() bool { return len(d.Status()) == 0 })
	l.mustLoad(d, netHdr("net0"))
}

func TestStatusBesideUnload(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	p := d.parents[0]
	must(t, d.AddChild("net0", "child0"))
	c := p.family.all()[0]
	must(t, d.UnloadAll())
	if s := p.status(); s != nil {
		t.Errorf("status of a closed interface: %+v", s)
	}
	if s := c.status(); s != nil {
		t.Errorf("status of a closed child: %+v", s)
	}
	done := make(chan struct{})
	var asking sync.WaitGroup
	for range 2 {
		asking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					d.Status()
				}
			}
		})
	}
	for range 10 {
		l.mustLoad(d, netHdr("net0"))
		must(t, d.AddChild("net0", "child0"))
		must(t, d.UnloadAll())
	}
	close(done)
	asking.Wait()
}

func TestCloseBesideLoad(t *testing.T) {
	l := newLab(t)
	for range 20 {
		d := l.driver()
		var both sync.WaitGroup
		d.change.Lock()
		both.Go(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() { _, _ = l.load(d, netHdr("net0")) }) // before Close, or not at all
		time.Sleep(2 * time.Millisecond)                     // so that both wait
		d.change.Unlock()
		both.Wait()
		if names := l.ns.Names(); len(names) > 0 {
			t.Fatalf("%v left behind", names)
		}
	}
}
