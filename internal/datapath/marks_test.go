package datapath

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// fakeQueues is a multi-queue device and the BPF programs that choose its
// queues.
type fakeQueues struct {
	mu      sync.Mutex
	queues  [][][]byte // packets of each
	limit   int        // of attached queues
	refusal error      // for more than that
	slots   [maxQueues]fakeSlot
	attach  int // as SetQueues said
	lost    int // packets that found no slot
	reading bool
	grace   error
	graced  int
	t       testing.TB
}

type fakeSlot struct {
	mark         uint32
	used, closed bool
}

func newFakeQueues(t testing.TB) *fakeQueues {
	return &fakeQueues{t: t, queues: make([][][]byte, 1), limit: maxQueues, refusal: errRefused, attach: 1}
}

func (f *fakeQueues) newMarks() *Marks {
	f.t.Helper()
	m, err := NewMarks(f, f, silent)
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

// send has the kernel send a packet with a mark.
func (f *fakeQueues) send(mark uint32, packet []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := 0
	if mark != 0 {
		fits := func(s fakeSlot) bool { return s.mark == mark && !s.closed }
		free := func(s fakeSlot) bool { return s.mark == 0 }
		if q = slices.IndexFunc(f.slots[:f.attach], fits); q < 0 {
			if q = 1 + slices.IndexFunc(f.slots[1:f.attach], free); q == 0 {
				f.lost++
				return
			}
		}
		f.slots[q] = fakeSlot{mark: mark, used: true}
	}
	f.queues[q] = append(f.queues[q], packet)
}

func (f *fakeQueues) Read(p []byte) (int, int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for q, waiting := range f.queues {
		if len(waiting) > 0 {
			f.queues[q] = waiting[1:]
			f.reading = q > 0 // the mark of queue 0 is not asked for
			return copy(p, waiting[0]), q, nil
		}
	}
	return 0, 0, unix.EAGAIN
}

func (f *fakeQueues) Mark(queue int) uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reading = false
	return f.slots[queue].mark
}

func (f *fakeQueues) Queues() int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.queues) }

func (f *fakeQueues) AddQueues(n int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		if len(f.queues) == f.limit {
			return f.refusal
		}
		f.queues = append(f.queues, nil)
	}
	return nil
}

func (f *fakeQueues) Holds(q int) bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.queues[q]) > 0 }

func (f *fakeQueues) SetQueues(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n > len(f.queues) {
		f.t.Errorf("%d queues are used, %d attached", n, len(f.queues))
	}
	f.attach = n
}

func (f *fakeQueues) Free() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, s := range f.slots[1:f.attach] {
		if s.mark == 0 {
			n++
		}
	}
	return n
}

func (f *fakeQueues) Retire() (closed []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for q := range f.slots {
		s := &f.slots[q]
		switch {
		case s.mark == 0 || s.closed:
		case s.used:
			s.used = false
		default:
			s.closed = true
			closed = append(closed, q)
		}
	}
	return closed
}

func (f *fakeQueues) Grace() error { f.mu.Lock(); defer f.mu.Unlock(); f.graced++; return f.grace }

func (f *fakeQueues) Release(q int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.slots[q].closed || len(f.queues[q]) > 0 || f.graced == 0 {
		f.t.Errorf("queue %d is released with %d packets in it, %+v, after %d waits", q, len(f.queues[q]), f.slots[q], f.graced)
	}
	if f.reading {
		f.t.Error("a queue is released between reading a packet and looking up its mark")
	}
	f.slots[q] = fakeSlot{}
}

func (f *fakeQueues) Wait(func() bool) error { return unix.EBADF }
func (f *fakeQueues) Interrupt() error       { return nil }
func (f *fakeQueues) Resume() error          { return nil }
func (f *fakeQueues) Write([]byte) (int, error) {
	return 0, errRefused
}

func (f *fakeQueues) Writev([][]byte) (int, error) {
	return 0, errRefused
}

func TestMarksAttachQueuesAsNeeded(t *testing.T) {
	f := newFakeQueues(t)
	m := f.newMarks()
	defer m.close()
	o := NewOutbound(OutboundConfig{Device: f, Marks: m})
	if f.Queues() != firstQueues || f.attach != firstQueues {
		t.Fatalf("%d queues attached, %d used, want %d at first", f.Queues(), f.attach, firstQueues)
	}
	for range 1000 {
		f.send(0, ip(20, 0))
	}
	for o.burst() > 0 {
	}
	if f.Queues() != firstQueues {
		t.Errorf("%d queues without a mark", f.Queues())
	}
	// No sweep: on a slow machine marks are idle between two packets.
	m.sweep.Lock()
	defer m.sweep.Unlock()
	for mark := range uint32(maxQueues - 1) {
		for again := range mark + 1 {
			f.send(again+1, ip(20, 0))
			if again%burstSize == 0 {
				o.burst()
			}
		}
		for o.burst() > 0 {
		}
		n := f.Queues()
		if n&(n-1) != 0 || (n < maxQueues && n-int(mark)-2 < spareSlots) {
			t.Fatalf("%d queues with %d marks", n, mark+1)
		}
	}
	if f.Queues() != maxQueues || f.lost > 0 {
		t.Errorf("%d queues, %d packets found none, want %d queues and none", f.Queues(), f.lost, maxQueues)
	}
}

func TestMarksWithoutMoreQueues(t *testing.T) {
	f := newFakeQueues(t)
	f.limit = 20
	m := f.newMarks()
	defer m.close()
	o := NewOutbound(OutboundConfig{Device: f, Marks: m})
	for mark := range uint32(100) {
		f.send(mark+1, ip(20, 0))
		o.burst()
	}
	if f.Queues() != 20 || f.attach != 20 {
		t.Errorf("%d queues attached, %d used, want the 20 there are", f.Queues(), f.attach)
	}
	f.limit = 5
	f.queues = f.queues[:1]
	if _, err := NewMarks(f, f, silent); !errors.Is(err, errRefused) {
		t.Errorf("error %v, want that of the device", err)
	}
}

// If descriptors run out, more queues are attached when there may be some
// again.
func TestMarksGrowLater(t *testing.T) {
	f := newFakeQueues(t)
	f.limit, f.refusal = firstQueues, fmt.Errorf("attach: %w", unix.EMFILE)
	m := f.newMarks()
	defer m.close()
	o := NewOutbound(OutboundConfig{Device: f, Marks: m})
	for mark := range uint32(firstQueues) {
		f.send(mark+1, ip(20, 0))
		o.burst()
	}
	if f.Queues() != firstQueues || m.retry.IsZero() {
		t.Fatalf("%d queues, the next try at %v", f.Queues(), m.retry)
	}
	f.mu.Lock()
	f.limit = maxQueues
	f.mu.Unlock()
	testnet.Eventually(t, "more queues", func() bool {
		for mark := range uint32(firstQueues) { // some have lost their queues
			f.send(mark+1, ip(20, 0))
		}
		o.burst()
		return f.Queues() > firstQueues
	})
}

// marked is a packet that contains its mark, which is below 2^16.
func marked(mark uint32) []byte {
	p := ip(22, 0)
	p[20], p[21] = byte(mark>>8), byte(mark)
	return p
}

// Several senders use far more marks than there are queues. Each packet
// contains its mark, and arrives with it or is counted.
func TestMarksAreNeverMixedUp(t *testing.T) {
	const marks, senders, window = 3000, 4, 2
	region := mmapRegion(t, 1<<20)
	f := newFakeQueues(t)
	m := f.newMarks()
	defer m.close()
	o := NewOutbound(OutboundConfig{Device: f, Marks: m, Sink: startSender(t, region, element.NetHdr, 100)})
	r, buf := newReader(t, region), make([]byte, 2048)
	got := 0
	check := func() {
		for {
			p, result := read(t, r, element.NetHdr, buf)
			if result == shmstream.NoData {
				return
			}
			if result == shmstream.Success {
				got++
				if want := uint32(p.Data[20])<<8 | uint32(p.Data[21]); p.Mark != want {
					t.Fatalf("a packet with mark %d came with %d", want, p.Mark)
				}
			}
		}
	}
	for base := 0; base < marks; base += window {
		var group sync.WaitGroup
		for s := range senders {
			group.Go(func() {
				for i := range window {
					mark := uint32((base+i)*(s+1)%marks + 1)
					f.send(mark, marked(mark))
				}
			})
		}
		for range 3 {
			o.burst()
		}
		group.Wait()
		testnet.Eventually(t, "room for the next marks", func() bool {
			for o.burst() > 0 {
			}
			f.send(0xffff, marked(0xffff)) // keeps the sweep running
			check()
			return f.Free() >= window*senders
		})
	}
	for o.burst() > 0 {
	}
	check()
	if got < marks*senders {
		t.Errorf("%d packets arrived, of at least %d sent", got, marks*senders)
	}
	if f.lost > 0 {
		t.Errorf("%d packets found no queue, although some were free", f.lost)
	}
}

// A slot stays closed until its queue is empty.
func TestMarksReleaseEmptyQueuesOnly(t *testing.T) {
	f := newFakeQueues(t)
	m := f.newMarks()
	defer m.close()
	f.send(1, ip(20, 0))
	f.send(2, ip(20, 0))
	f.Retire()
	f.graced++
	closed := f.Retire()
	if _, _, err := f.Read(make([]byte, 64)); err != nil || len(closed) != 2 {
		t.Fatal(err, closed)
	}
	f.Mark(1)
	if left := m.release(closed); !slices.Equal(left, []int{2}) {
		t.Errorf("queues %v are left, want the second", left)
	}
}

// Slots that cannot be released are released later.
func TestMarksReleaseAfterFailure(t *testing.T) {
	f := newFakeQueues(t)
	f.grace = errRefused
	m := f.newMarks()
	defer m.close()
	o := NewOutbound(OutboundConfig{Device: f, Marks: m})
	for mark := range uint32(maxQueues - 1) {
		f.send(mark+1, ip(20, 0))
		o.burst()
	}
	testnet.Eventually(t, "refusal", func() bool {
		f.send(1, ip(20, 0))
		o.burst()
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.graced > 0
	})
	f.mu.Lock()
	f.grace = nil
	f.mu.Unlock()
	testnet.Eventually(t, "free slots", func() bool {
		f.send(1, ip(20, 0))
		o.burst()
		return f.Free() >= lowSlots
	})
}

func TestMarksSweepEndsWithDevice(t *testing.T) {
	for _, grace := range []error{nil, errRefused} {
		f := newFakeQueues(t)
		f.grace = grace
		m := f.newMarks()
		o := NewOutbound(OutboundConfig{Device: f, Marks: m})
		for mark := range uint32(250) {
			f.send(mark+1, ip(20, 0))
			o.burst()
		}
		m.close() // returns, with the sweep under way
		if !m.sweep.TryLock() {
			t.Error("a sweep runs after close")
		}
	}
}
