package skbmark_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/skbmark"
	"github.com/muennet/muennet/internal/testnet"
	"golang.org/x/sys/unix"
)

var someMarks = []uint32{0, 1, 7, 100, 0x12345678, 0xffffffff}

// checkMarks sends packets with some marks and checks that each arrives once,
// in a queue with its mark.
func checkMarks(t *testing.T, ns *testnet.NS, d *device, o *skbmark.Outgoing) {
	t.Helper()
	mustSend(t, newSender(t, ns), someMarks...)
	want := make(map[uint32]int)
	for _, m := range someMarks {
		want[m] = 1
	}
	if got := drainAll(t, d, o); !maps.Equal(got, want) {
		t.Errorf("received packets by mark %v, want %v", got, want)
	}
}

func TestOutgoingMarks(t *testing.T) {
	kernels(t, func(t *testing.T, load func() (*skbmark.Outgoing, error)) {
		ns := namespace(t)
		d := openDevice(t, ns, "t0", 8)
		o := attached(t, d, load)
		checkMarks(t, ns, d, o)
		checkMarks(t, ns, d, o) // with existing slots
		if free := o.Free(); free != 2 {
			t.Errorf("%d queues free, want 2", free)
		}
	})
}

func TestOutgoingSurvivesRenameMoveAndDown(t *testing.T) {
	ns := namespace(t)
	other := testnet.New(t)
	other.Quiet()
	d := openDevice(t, ns, "t0", 8)
	o := outgoing(t, d)

	if err := ns.Link().SetDown(ns.Index("t0")); err != nil {
		t.Fatal(err)
	}
	rename(t, ns, "t0", "t1")
	d.up(ns, "t1")
	checkMarks(t, ns, d, o)

	move(t, ns, "t1", other)
	d.up(other, "t1")
	checkMarks(t, other, d, o)
}

func TestOutgoingMarkZeroNeedsNoSlot(t *testing.T) {
	ns := namespace(t)
	d := openDevice(t, ns, "t0", 2)
	o := outgoing(t, d)
	s := newSender(t, ns)
	mustSend(t, s, 5, 6, 0, 6, 0, 5)
	want := map[uint32]int{0: 2, 5: 2}
	if got := drainAll(t, d, o); !maps.Equal(got, want) {
		t.Errorf("received packets by mark %v, want %v", got, want)
	}
	if o.Mark(0) != 0 || o.Mark(1) != 5 || o.Overflows() != 2 {
		t.Errorf("marks %d and %d, %d overflows; want 0 and 5, 2", o.Mark(0), o.Mark(1), o.Overflows())
	}
}

func TestOutgoingOverflowIsCounted(t *testing.T) {
	kernels(t, func(t *testing.T, load func() (*skbmark.Outgoing, error)) {
		const marks, queues = 300, 16
		ns := namespace(t)
		d := openDevice(t, ns, "t0", queues)
		o := attached(t, d, load)
		s := newSender(t, ns)
		for m := range uint32(marks) {
			mustSend(t, s, m+1)
		}
		got := drainAll(t, d, o)
		for m := range uint32(queues - 1) { // those that were sent first
			if got[m+1] != 1 {
				t.Errorf("received %d packets with mark %d, want 1", got[m+1], m+1)
			}
		}
		if len(got) != queues-1 || o.Overflows() != marks-(queues-1) || o.Mismatches() != 0 || o.Free() != 0 {
			t.Errorf("%d marks received, %d overflows, %d mismatches, %d free; want %d, %d, 0, 0",
				len(got), o.Overflows(), o.Mismatches(), o.Free(), queues-1, marks-(queues-1))
		}
		if n := dropped(t, ns, "t0"); n != o.Overflows() {
			t.Errorf("the interface counts %d packets dropped, want %d", n, o.Overflows())
		}
	})
}

func TestOutgoingQueuesOnDemand(t *testing.T) {
	ns := namespace(t)
	d := openDevice(t, ns, "t0", 1)
	o := outgoing(t, d)
	s := newSender(t, ns)
	mustSend(t, s, 1) // a single queue
	for _, n := range []int{2, 3, skbmark.MaxQueues} {
		ns.Do(func() { d.addQueues(n - len(d.queues)) })
		o.SetQueues(n)
		if free := o.Free(); free == 0 {
			t.Fatalf("no free slot with %d queues", n)
		}
		mustSend(t, s, uint32(n))
	}
	o.SetQueues(1 << 20) // as many as there can be
	for m := range uint32(skbmark.MaxQueues) {
		mustSend(t, s, 1000+m)
	}
	got := drainAll(t, d, o)
	// Three marks hold a slot, the first packet came too early, and of the
	// last ones four found none.
	if len(got) != skbmark.MaxQueues-1 || got[1] != 0 || got[2] != 1 || got[3] != 1 || got[skbmark.MaxQueues] != 1 {
		t.Errorf("received %d marks: %v", len(got), got)
	}
	if o.Overflows() != 1+4 || o.Free() != 0 {
		t.Errorf("%d overflows, %d free; want 5, 0", o.Overflows(), o.Free())
	}
}

func TestRetire(t *testing.T) {
	ns := namespace(t)
	d := openDevice(t, ns, "t0", 4)
	o := outgoing(t, d)
	s := newSender(t, ns)
	mustSend(t, s, 10, 20, 30)
	if got := o.Retire(); got != nil {
		t.Fatalf("queues %v were retired too early", got)
	}
	mustSend(t, s, 20)
	if got := o.Retire(); !slices.Equal(got, []int{1, 3}) {
		t.Fatalf("queues %v were retired, want 1 and 3", got)
	}
	if got := []uint32{o.Mark(1), o.Mark(2), o.Mark(3)}; !slices.Equal(got, []uint32{10, 20, 30}) {
		t.Fatalf("marks are now %v", got)
	}
	mustSend(t, s, 10, 40) // closed is not free
	if o.Overflows() != 2 || o.Free() != 0 {
		t.Fatalf("%d overflows, %d free; want 2, 0", o.Overflows(), o.Free())
	}
	if err := skbmark.Grace(); err != nil {
		t.Fatal(err)
	}
	if n, err := drain(d, o, 3); n != 1 || err != nil {
		t.Fatalf("%d packets left in queue 3, error %v", n, err)
	}
	o.Release(3)
	if o.Free() != 1 || o.Mark(3) != 0 {
		t.Fatalf("%d free, mark %d after the release", o.Free(), o.Mark(3))
	}
	mustSend(t, s, 10) // its old queue is still closed, so it gets the free one
	want := map[uint32]int{10: 2, 20: 2}
	if got := drainAll(t, d, o); !maps.Equal(got, want) || o.Mark(3) != 10 {
		t.Errorf("received packets by mark %v, want %v; mark %d in queue 3", got, want, o.Mark(3))
	}
	// Closed queues are not returned again, and 10 has been used since.
	if got := o.Retire(); !slices.Equal(got, []int{2}) {
		t.Errorf("queues %v were retired, want 2", got)
	}
}

// A packet may wait in a qdisc while its slot is given to another mark.
func TestRetireWhilePacketsWait(t *testing.T) {
	const old, queues = 400, 16
	ns := namespace(t)
	testnet.Need(t, "tc")
	d := openDevice(t, ns, "t0", queues)
	o := outgoing(t, d)
	s := newSender(t, ns)
	// The burst passes at once; the next packet would take minutes.
	ns.MustRun("tc", "qdisc", "add", "dev", "t0", "root", "tbf", "rate", "8bit", "burst", "2000", "limit", "10mb")
	for i := range uint32(old) {
		mustSend(t, s, 1+i%(queues-1))
	}
	o.Retire()
	retired := o.Retire()
	if len(retired) != queues-1 {
		t.Fatalf("queues %v were retired, want all", retired)
	}
	if err := skbmark.Grace(); err != nil {
		t.Fatal(err)
	}
	early := 0
	for _, q := range retired {
		n, err := drain(d, o, q)
		if err != nil {
			t.Fatal(err)
		}
		early += n
		o.Release(q)
	}
	if early == 0 || early == old {
		t.Fatalf("%d packets came through at once, want some of %d", early, old)
	}
	for m := range uint32(queues - 1) {
		mustSend(t, s, 1001+m)
	}
	ns.MustRun("tc", "qdisc", "change", "dev", "t0", "root", "tbf", "rate", "10gbit", "burst", "1mb", "limit", "10mb")
	// Packets without a mark make the qdisc run again, sooner or later.
	got := make(map[uint32]int)
	deadline := time.Now().Add(testnet.Patience)
	for received := 0; received < queues-1 && time.Now().Before(deadline); received -= got[0] {
		mustSend(t, s, 0)
		for m, n := range drainAll(t, d, o) {
			got[m] += n
		}
		received = total(got)
	}
	if len(got) != queues {
		t.Errorf("received marks %v, want only the new ones", got)
	}
	for m := range uint32(queues - 1) {
		if got[1001+m] != 1 {
			t.Errorf("received %d packets of mark %d, want 1", got[1001+m], 1001+m)
		}
	}
	if o.Mismatches() != uint64(old-early) || o.Overflows() != 0 {
		t.Errorf("%d mismatches, %d overflows; want %d, 0", o.Mismatches(), o.Overflows(), old-early)
	}
}

func total(packets map[uint32]int) (n int) {
	for _, k := range packets {
		n += k
	}
	return n
}

// Packets from a packet socket that bypasses the qdisc, or whose queue is set
// by a tc rule, still pass the filter.
func TestFilterWithoutSteering(t *testing.T) {
	ns := namespace(t)
	d := openDevice(t, ns, "t0", 4)
	o := outgoing(t, d)
	s := newSender(t, ns)
	mustSend(t, s, 7)
	// Only the filter is left; the kernel chooses queues by flow.
	if err := unix.IoctlSetPointerInt(d.queues[0], unix.TUNSETSTEERINGEBPF, -1); err != nil {
		t.Fatal(err)
	}
	const packets = 64
	for range packets / 4 {
		s := newSender(t, ns) // another flow
		mustSend(t, s, 0, 7, 8, 9)
	}
	received := 0
	for q := range d.queues {
		n, err := drain(d, o, q)
		if err != nil {
			t.Fatal(err)
		}
		received += n
	}
	if lost := o.Overflows() + o.Mismatches(); received == 1+packets || uint64(received)+lost != 1+packets {
		t.Errorf("%d packets received, %d overflows, %d mismatches; want %d in all, and some lost",
			received, o.Overflows(), o.Mismatches(), 1+packets)
	}
}

func TestDetach(t *testing.T) {
	ns := namespace(t)
	d := openDevice(t, ns, "t0", 1)
	o := outgoing(t, d)
	s := newSender(t, ns)
	mustSend(t, s, 7)
	if _, ok, err := d.read(0); ok || err != nil {
		t.Fatalf("received a packet with a mark, error %v, want it dropped", err)
	}
	if err := skbmark.Detach(d.queues[0]); err != nil {
		t.Fatal(err)
	}
	mustSend(t, s, 7)
	if mark, ok, err := d.read(0); mark != 7 || !ok || err != nil {
		t.Errorf("received %v, mark %d, error %v", ok, mark, err)
	}
	if o.Overflows() != 1 {
		t.Errorf("%d overflows, want 1", o.Overflows())
	}
}

func TestAttachReplacesWhatWasLeftBehind(t *testing.T) {
	ns := namespace(t)
	d := openDevice(t, ns, "t0", 8)
	old, err := skbmark.NewOutgoing()
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Attach(d.queues[0]); err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	s := newSender(t, ns)
	mustSend(t, s, 7) // the program is still attached and drops it
	if _, ok, err := d.read(0); ok || err != nil {
		t.Fatalf("received a packet, error %v", err)
	}
	checkMarks(t, ns, d, outgoing(t, d))
}

func TestAttachErrors(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	o, err := skbmark.NewOutgoing()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	r, w, err := pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(r)
	defer unix.Close(w)
	if err := o.Attach(r); err == nil {
		t.Error("attached to a pipe")
	}
	if err := o.Attach(-1); err == nil {
		t.Error("attached to nothing")
	}
}

func pipe() (r, w int, err error) {
	var p [2]int
	err = unix.Pipe2(p[:], unix.O_CLOEXEC)
	return p[0], p[1], err
}

func TestGrace(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	if err := skbmark.Grace(); err != nil {
		t.Error(err)
	}
	if err := skbmark.WaitMapUpdate(); err != nil {
		t.Errorf("fallback: %v", err)
	}
}
