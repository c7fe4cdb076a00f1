package datapath

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fakeIncoming is the ingress program and the receive path before it. Packets
// are received when they are written or, with backlog, when the test says so.
type fakeIncoming struct {
	fakeDevice
	armed, seen bool
	mark        uint32
	attached    int   // times
	refused     error // by Attach

	backlog bool // as with RPS
	drops   bool // as an XDP program does
	tells   bool // whether packets are pending
	account bool // it was asked to tell
	writes  int
	waiting [][]byte // in the backlog
	marks   []uint32 // of what was received, in order
}

func (f *fakeIncoming) Account(on bool) error {
	if !f.tells {
		return errRefused
	}
	f.account = on
	return nil
}

func (f *fakeIncoming) Pending() bool { return len(f.waiting) > 0 }

func (f *fakeIncoming) Attach() error {
	f.receive(len(f.waiting)) // Attach waits for them
	f.attached++
	return f.refused
}

func (f *fakeIncoming) Arm(mark uint32) { f.armed, f.seen, f.mark = true, false, mark }
func (f *fakeIncoming) Seen() bool      { return !f.armed || f.seen }
func (f *fakeIncoming) Disarm()         { f.armed, f.seen, f.mark = false, false, 0 }

func (f *fakeIncoming) Writev(parts [][]byte) (int, error) { return f.Write(slices.Concat(parts...)) }

func (f *fakeIncoming) Write(p []byte) (int, error) {
	if f.refuse != nil {
		return 0, f.refuse
	}
	if f.account && f.Pending() {
		return 0, unix.EAGAIN
	}
	if f.drops {
		return len(p), nil
	}
	if f.writes++; f.backlog && f.writes%2 == 0 { // another processor receives
		f.receive(len(f.waiting))
	}
	f.waiting = append(f.waiting, slices.Clone(p))
	if !f.backlog {
		f.receive(len(f.waiting))
	}
	return len(p), nil
}

// receive has the kernel receive packets of the backlog.
func (f *fakeIncoming) receive(n int) {
	for _, p := range f.waiting[:n] {
		f.got = append(f.got, p)
		f.marks = append(f.marks, f.mark)
		f.seen = f.armed
	}
	f.waiting = f.waiting[n:]
}

func newMarkedPort() (*Port, *fakeIncoming) {
	f := new(fakeIncoming)
	return NewPort(PortConfig{Device: f, Marks: f, Log: silent}), f
}

func TestPortMarks(t *testing.T) {
	port, f := newMarkedPort()
	want := []uint32{7, 0, 0xffffffff, 7, 7, 0, 1}
	for i, mark := range want {
		port.deliver(ip(20+i, 0), mark)
	}
	if !slices.Equal(f.marks, want) {
		t.Errorf("marks %x, want %x", f.marks, want)
	}
	if f.armed {
		t.Error("a mark is armed between packets: other packets would take it")
	}
	if s := port.Status(); s.Counters.Packets != 7 || s.Counters.Bytes != 7*20+21 || s.Counters.Unmarked != 0 || s.Suspended {
		t.Errorf("%+v", s)
	}
}

func TestPortWithoutMarks(t *testing.T) {
	dev := newFakeDevice()
	port := NewPort(PortConfig{Device: dev, Log: silent})
	for _, mark := range []uint32{0, 7, 8} {
		port.deliver(ip(20, 0), mark)
	}
	if s := port.Status(); s.Counters.Packets != 3 || s.Counters.Unmarked != 2 || s.Suspended {
		t.Errorf("%+v; want 3 packets, 2 of them unmarked", s)
	}
}

// The first packet with a mark attaches the marks, after all packets before it.
func TestPortAttachesOnDemand(t *testing.T) {
	port, f := newMarkedPort()
	f.backlog = true
	port.deliver(ip(20, 0), 0)
	port.answer(ip(20, 0))
	if f.attached != 0 || port.Status().Suspended {
		t.Fatalf("attached %d times without a mark, %+v", f.attached, port.Status())
	}
	f.backlog = false
	for _, mark := range []uint32{7, 0, 8} {
		port.deliver(ip(20, 0), mark)
	}
	port.Prepare()
	if want := []uint32{0, 0, 7, 0, 8}; !slices.Equal(f.marks, want) || f.attached != 1 {
		t.Errorf("marks %v, attached %d times; want %v, once", f.marks, f.attached, want)
	}
}

func TestPortPrepare(t *testing.T) {
	port, f := newMarkedPort()
	port.Prepare()
	port.deliver(ip(20, 0), 7)
	if f.attached != 1 || !slices.Equal(f.marks, []uint32{7}) {
		t.Errorf("attached %d times, marks %v", f.attached, f.marks)
	}
}

// Marks that cannot be attached are tried once.
func TestPortAttachFails(t *testing.T) {
	port, f := newMarkedPort()
	f.refused = errRefused
	for _, mark := range []uint32{7, 0, 8} {
		port.deliver(ip(20, 0), mark)
	}
	if s := port.Status(); f.attached != 1 || !slices.Equal(f.marks, []uint32{0, 0, 0}) || s.Counters.Unmarked != 2 || s.Counters.Packets != 3 || s.Suspended {
		t.Errorf("attached %d times, marks %v, %+v", f.attached, f.marks, s)
	}
}

// No mark is set on the wrong packet, whatever the kernel queues and whenever
// it receives that. Marks are set again when the kernel queues nothing any
// more.
func TestPortAsynchronous(t *testing.T) {
	for i, first := range []uint32{0, 7, 0, 7} {
		t.Run(fmt.Sprintf("first mark %d, %d", first, i/2), func(t *testing.T) {
			port, f := newMarkedPort()
			f.tells = i >= 2
			var log bytes.Buffer
			port.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
			f.backlog = true
			const rounds = 100
			later := time.Now().Add(time.Hour) // it is not calm yet, however slow the test
			for i := range uint32(rounds) {
				mark := first
				if i > 0 {
					mark = i % 3 // some have none
				}
				port.deliver(ip(20, 0), mark)
				port.receipt.since = later
				if i%4 == 3 {
					f.receive(int(i) % (len(f.waiting) + 1))
				}
			}
			if s := port.Status(); !s.Suspended {
				t.Fatal("marks are not suspended with a backlog")
			}
			// RPS is switched off. The backlog is received some time later.
			f.backlog = false
			waiting := append(f.waiting, ip(20, 0))
			f.waiting = nil
			port.receipt.since = later
			port.deliver(ip(20, 0), 9)
			f.waiting = waiting
			f.receive(len(waiting))
			port.receipt.since = time.Time{}
			port.deliver(ip(20, 0), 9)
			if !port.Status().Suspended {
				t.Fatal("marks are set although packets were pending since the last one")
			}
			port.receipt.since = later
			port.deliver(ip(20, 0), 9)
			if !port.Status().Suspended {
				t.Fatal("marks are set again before it was calm for a while")
			}
			for i, mark := range f.marks {
				if mark != 0 {
					t.Fatalf("packet %d got mark %d of another packet", i, mark)
				}
			}
			port.receipt.since = time.Now().Add(-calm)
			port.deliver(ip(20, 0), 9) // still without its mark
			port.deliver(ip(20, 0), 9)
			if s := port.Status(); s.Suspended || f.marks[len(f.marks)-1] != 9 || f.marks[len(f.marks)-2] != 0 {
				t.Errorf("%+v, marks end with %v; want them to be set again", s, f.marks[len(f.marks)-3:])
			}
			if n := bytes.Count(log.Bytes(), []byte("\n")); n != 2 {
				t.Errorf("log: %s\nwant two lines", &log)
			}
		})
	}
}

// A packet that the kernel refuses does not tell how it receives.
func TestPortRefused(t *testing.T) {
	port, f := newMarkedPort()
	f.refuse = unix.EIO
	port.deliver(ip(20, 0), 7)
	if s := port.Status(); s.Suspended || f.armed || s.Counters.Reasons[DeviceDown] != 1 || s.Counters.Dropped != 1 {
		t.Errorf("%+v, armed %v", s, f.armed)
	}
	f.refuse, f.backlog = nil, true
	port.deliver(ip(20, 0), 7)
	f.receive(1)
	f.refuse = errRefused
	port.receipt.since = time.Time{}
	port.deliver(ip(20, 0), 7)
	port.receipt.since = time.Time{}
	port.deliver(ip(20, 0), 7)
	if s := port.Status(); !s.Suspended || s.Counters.Reasons[DeviceRefused] != 2 {
		t.Errorf("%+v; want marks to stay suspended", s)
	}
}

// A packet that is longer than the interface may send is delivered and counted.
func TestPortOversize(t *testing.T) {
	port, f := newMarkedPort()
	port.Expect(100)
	for i, n := range []int{100, 101, 9000} {
		port.deliver(ip(n, 0), 7)
		if s := port.Status().Counters; len(f.got) != i+1 || len(f.got[i]) != n || s.Oversize != uint64(i) || s.Dropped != 0 {
			t.Errorf("%d packets, %+v", len(f.got), s)
		}
	}
	f.refuse = errRefused
	port.deliver(ip(101, 0), 7)
	if s := port.Status().Counters; s.Oversize != 2 || s.Dropped != 1 {
		t.Errorf("a refused packet: %+v", s)
	}
}

func TestPortAnswer(t *testing.T) {
	port, f := newMarkedPort()
	f.backlog = true
	port.answer(ip(20, 0)) // it is pending when the next packet is written
	port.deliver(ip(21, 0), 7)
	f.receive(len(f.waiting))
	if !slices.Equal(f.marks, []uint32{0, 0}) || port.Status().Counters.Packets != 1 {
		t.Errorf("marks %v, %+v; want the answer without mark and uncounted", f.marks, port.Status())
	}
}

// discard takes packets and marks and keeps none.
type discard struct{ fakeDevice }

func (*discard) Write(p []byte) (int, error) { return len(p), nil }

func (*discard) Writev(parts [][]byte) (int, error) { return 1, nil }
func (*discard) Attach() error                      { return nil }
func (*discard) Arm(uint32)                         {}
func (*discard) Seen() bool                         { return true }
func (*discard) Disarm()                            {}
func (*discard) Account(bool) error                 { return nil }
func (*discard) Pending() bool                      { return true }

func TestPortDoesNotAllocate(t *testing.T) {
	dev := new(discard)
	port := NewPort(PortConfig{Device: dev, Marks: dev, Log: silent})
	p := ip(1500, 0)
	for _, async := range []bool{false, true} {
		if n := testing.AllocsPerRun(100, func() {
			port.receipt.suspended, port.receipt.since = async, time.Now()
			port.deliver(p, 7)
		}); n != 0 {
			t.Errorf("async %v: %v allocations per packet", async, n)
		}
	}
}

// A program that drops packets is not taken for RPS for longer than calm. Then
// the packets that it lets pass have their marks.
func TestPortLossy(t *testing.T) {
	port, f := newMarkedPort()
	f.tells = true
	send := func(mark uint32, taken bool) {
		f.drops = taken
		port.deliver(ip(20, 0), mark)
	}
	send(7, false)
	send(8, true)
	if !port.Status().Suspended {
		t.Fatal("a packet that was not received suspends nothing")
	}
	for range 10 { // any number of them is dropped
		send(0, true)
		send(9, false)
	}
	port.receipt.since = time.Now().Add(-calm)
	send(9, true)
	if !port.Status().Suspended {
		t.Fatal("no packet was received, and marks are set")
	}
	send(9, false)
	for range 10 {
		send(5, true)
		send(6, false)
		send(0, true)
		send(0, false)
	}
	want := slices.Concat([]uint32{7}, make([]uint32, 11), slices.Repeat([]uint32{6, 0}, 10))
	if s := port.Status(); !slices.Equal(f.marks, want) || s.Suspended || s.Counters.Unmarked != 1+10+2+10 {
		t.Errorf("marks %v, want %v; %+v", f.marks, want, s)
	}
	// One pending packet shows that there is RPS...
	f.drops, f.backlog, f.marks = false, true, nil
	for _, mark := range []uint32{1, 2, 3, 4} {
		port.deliver(ip(20, 0), mark)
	}
	f.receive(len(f.waiting))
	if s := port.Status(); !s.Suspended || f.account || len(f.marks) != 4 {
		t.Errorf("with RPS: %+v, marks %v", s, f.marks)
	}
	for i, mark := range f.marks {
		if mark != 0 && mark != uint32(i+1) {
			t.Errorf("with RPS: packet %d has mark %d", i+1, mark)
		}
	}
}
