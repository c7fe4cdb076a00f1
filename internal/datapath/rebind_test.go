package datapath

import (
	"bytes"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/doorbell"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// shortRegion is a region that the test unmaps: a later access ends the
// process.
func shortRegion(t *testing.T) (b []byte, unmap func()) {
	t.Helper()
	b, err := unix.Mmap(-1, 0, 1<<16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	return b, func() {
		if err := unix.Munmap(b); err != nil {
			t.Error(err)
		}
	}
}

// A Sender is bound to region after region while several devices send.
func TestSenderRebinds(t *testing.T) {
	region, unmap := shortRegion(t)
	s := startSender(t, region, element.NetHdr, 1500)
	var counts [2]TxCounters
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for i := range counts {
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				s.send(ip(100, 1), 0, &counts[i])
				s.pace()
				s.flush()
			}
		})
	}
	for range 200 {
		before, old := region, unmap
		region, unmap = shortRegion(t)
		rings := s.Status().Rings
		if err := s.Rebind(region); err != nil {
			t.Fatal(err)
		}
		if h, _ := shmstream.ReadHeader(before); h.Epoch != 0 {
			t.Fatalf("the old region is left active: %+v", h)
		}
		old()
		if st := s.Status(); st.Active || st.Rings < rings {
			t.Fatalf("after %d rings: %+v", rings, st)
		}
		if err := s.Start(element.NetHdr.Size(1500)); err != nil {
			t.Fatal(err)
		}
		testnet.Eventually(t, "elements in the new region", func() bool {
			h, _ := shmstream.ReadHeader(region)
			return h.WC > 0
		})
	}
	close(stop)
	senders.Wait()
	if err := s.Rebind(make([]byte, 8)); err == nil {
		t.Error("bound to a region without a header")
	}
	s.Close()
	unmap()
}

// An Inbound is bound to region after region, asleep and awake. Routes and
// counters go on.
func TestInboundRebinds(t *testing.T) {
	region, unmap := shortRegion(t)
	s := startSender(t, region, element.NetHdr, 1500)
	dev, child := newFakeDevice(), newFakeDevice()
	in := runInbound(t, region, dev, nil)
	in.Route(7, NewPort(PortConfig{Device: child, Log: silent}))
	if err := in.Rebind(region, nil, nil); err == nil {
		t.Error("bound to another region without a pause")
	}
	for n := range 50 {
		old := unmap
		region, unmap = shortRegion(t)
		in.Pause()
		if err := in.Rebind(region, nil, func() bool { return n%2 == 0 }); err != nil {
			t.Fatal(err)
		}
		in.mu.Lock()
		parked := in.parked
		in.mu.Unlock()
		if !parked {
			t.Fatal("Run may still sleep in the old region")
		}
		if err := s.Rebind(region); err != nil {
			t.Fatal(err)
		}
		old()
		if err := in.Resume(); err != nil {
			t.Fatal(err)
		}
		if err := s.Start(element.NetHdr.Size(1500)); err != nil {
			t.Fatal(err)
		}
		testnet.Eventually(t, "the peer", func() bool { return in.Status().Peer == PeerActive })
		s.send(ip(100, byte(n)), 7, new(TxCounters))
		s.send(ip(200, byte(n)), 8, new(TxCounters))
		s.ring()
		testnet.Eventually(t, "packets", func() bool { return len(dev.received()) == n+1 && len(child.received()) == n+1 })
		if !bytes.Equal(dev.received()[n], ip(200, byte(n))) || !bytes.Equal(child.received()[n], ip(100, byte(n))) {
			t.Fatal("other packets came")
		}
	}
	if st := in.Status(); st.Reader.EpochChanges < 50 || st.Wakeups+st.Timeouts == 0 {
		t.Errorf("counters did not go on: %+v", st)
	}
	in.Pause()
	var none doorbell.Memory
	if err := in.Rebind(make([]byte, 8), none, nil); err == nil {
		t.Error("bound to a region without a header")
	}
	in.Close()
	s.Close()
	unmap()
}
