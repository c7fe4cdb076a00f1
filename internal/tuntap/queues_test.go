package tuntap_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/internal/tuntap"
)

// sendFlows sends UDP packets of that many flows into the device's subnet.
func sendFlows(t *testing.T, ns *testnet.NS, flows, each int) {
	t.Helper()
	ns.Do(func() {
		for f := range flows {
			c, err := net.Dial("udp4", fmt.Sprintf("10.7.0.2:%d", 1000+f))
			if err != nil {
				t.Error(err)
				return
			}
			for i := range each {
				if _, err := c.Write(binary.BigEndian.AppendUint32(nil, uint32(f*each+i))); err != nil {
					t.Error(err)
				}
			}
			c.Close()
		}
	})
}

// collect reads n packets and returns how many each queue held.
func collect(t *testing.T, dev *tuntap.Device, n int) map[int]int {
	t.Helper()
	guard := time.AfterFunc(testnet.Patience, func() { _ = dev.Interrupt() })
	defer guard.Stop()
	seen, perQueue, buf := map[uint32]bool{}, map[int]int{}, make([]byte, 2000)
	err := dev.Wait(func() bool {
		for len(seen) < n {
			size, queue, err := dev.Read(buf)
			if err != nil {
				return err != tuntap.ErrAgain
			}
			if id := binary.BigEndian.Uint32(buf[size-4 : size]); seen[id] {
				t.Errorf("packet %d came twice", id)
			} else {
				seen[id] = true
			}
			perQueue[queue]++
		}
		return true
	})
	if err != nil || len(seen) < n {
		t.Fatalf("%d of %d packets came: %v", len(seen), n, err)
	}
	return perQueue
}

func multi(t *testing.T, ns *testnet.NS) *tuntap.Device {
	t.Helper()
	dev := open(t, ns, tuntap.Config{Name: "net0", MultiQueue: true})
	if err := dev.SetPersist(true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dev.SetPersist(false) })
	if err := ns.Link().AddAddress(index(t, dev), netip.MustParsePrefix("10.7.0.1/24")); err != nil {
		t.Fatal(err)
	}
	return dev
}

func TestQueuesShareTheTraffic(t *testing.T) {
	ns := namespace(t)
	dev := multi(t, ns)
	if err := dev.AddQueues(7); err != nil {
		t.Fatal(err)
	}
	if n := dev.Queues(); n != 8 {
		t.Fatalf("%d queues, want 8", n)
	}
	const flows, each = 64, 5
	sendFlows(t, ns, flows, each)
	perQueue := collect(t, dev, flows*each)
	for q := range perQueue {
		if q < 0 || q >= 8 {
			t.Errorf("queue %d", q)
		}
		if dev.Holds(q) {
			t.Errorf("queue %d is said to hold a packet", q)
		}
	}
	if len(perQueue) < 2 {
		t.Errorf("all packets were in one queue: %v", perQueue)
	}
	// One packet waits in one queue and in no other.
	sendFlows(t, ns, 1, 1)
	holding := 0
	for q := range dev.Queues() {
		if dev.Holds(q) {
			holding++
		}
	}
	if holding != 1 {
		t.Errorf("%d queues hold one packet", holding)
	}
	collect(t, dev, 1)
}

func TestAddQueuesAfterRenameAndMove(t *testing.T) {
	ns, other := namespace(t), testnet.New(t)
	other.Quiet()
	dev := multi(t, ns)
	if err := ns.Link().SetDown(index(t, dev)); err != nil {
		t.Fatal(err)
	}
	if err := ns.Link().SetName(index(t, dev), "renamed"); err != nil {
		t.Fatal(err)
	}
	if err := ns.Link().MoveToNetNS(index(t, dev), other.FD()); err != nil {
		t.Fatal(err)
	}
	if err := dev.AddQueues(3); err != nil {
		t.Fatal(err)
	}
	if err := other.Link().AddAddress(index(t, dev), netip.MustParsePrefix("10.7.0.1/24")); err != nil {
		t.Fatal(err)
	}
	if err := other.Link().SetUp(index(t, dev)); err != nil {
		t.Fatal(err)
	}
	sendFlows(t, other, 16, 2)
	collect(t, dev, 32)
}

func TestAllQueues(t *testing.T) {
	ns := namespace(t)
	dev := multi(t, ns)
	if err := dev.AddQueues(tuntap.MaxQueues - 1); err != nil {
		t.Fatal(err)
	}
	if err := dev.AddQueues(1); err == nil {
		t.Error("one queue too many was attached")
	}
	if n := dev.Queues(); n != tuntap.MaxQueues {
		t.Errorf("%d queues", n)
	}
}

// The kernel would let a second process attach to a multi-queue device.
func TestMultiQueueIsAttachedByOneOnly(t *testing.T) {
	ns := namespace(t)
	cfg := tuntap.Config{Name: "net0", MultiQueue: true, Attach: true}
	dev := multi(t, ns)
	other, err := tryOpen(ns, cfg)
	wantError(t, other, err, tuntap.ErrNameTaken, "another process uses")
	if err := dev.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, ns, cfg)
	if !again.Attached() {
		t.Error("the device was not attached")
	}
	if err := again.SetPersist(false); err != nil {
		t.Fatal(err)
	}
}

func TestMultiQueueReadDoesNotAllocate(t *testing.T) {
	ns := namespace(t)
	dev := multi(t, ns)
	if err := dev.AddQueues(3); err != nil {
		t.Fatal(err)
	}
	sendFlows(t, ns, 100, 3)
	buf, got := make([]byte, 2000), 0
	if n := testing.AllocsPerRun(200, func() {
		if _, _, err := dev.Read(buf); err == nil {
			got++
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got < 200 {
		t.Errorf("only %d packets were read", got)
	}
}
