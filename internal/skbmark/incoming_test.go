package skbmark_test

import (
	"encoding/binary"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/skbmark"
	"github.com/muennet/muennet/internal/testnet"
	"golang.org/x/sys/unix"
)

// newIncoming returns an unattached Incoming.
func newIncoming(t testing.TB) *skbmark.Incoming {
	t.Helper()
	i, err := skbmark.NewIncoming()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

func attach(t testing.TB, ns *testnet.NS, name string, i *skbmark.Incoming) {
	t.Helper()
	index := ns.Index(name)
	ns.Do(func() {
		t.Helper()
		if err := i.Attach(index); err != nil {
			t.Fatal(err)
		}
	})
}

// receiver is a UDP socket that receives the marks of packets.
type receiver struct {
	fd   int
	data [64]byte
	oob  [64]byte
}

func newReceiver(t testing.TB, ns *testnet.NS) *receiver {
	t.Helper()
	const soRcvmark = 75 // SO_RCVMARK of <asm-generic/socket.h>, Linux 5.19
	r := &receiver{}
	ns.Do(func() {
		t.Helper()
		var err error
		r.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { unix.Close(r.fd) })
	if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, soRcvmark, 1); err != nil {
		t.Fatalf("enable SO_RCVMARK: %v", err)
	}
	// The last socket bound gets the packets.
	if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(r.fd, &unix.SockaddrInet4{Port: port}); err != nil {
		t.Fatal(err)
	}
	return r
}

// receive returns the mark in the payload of the next packet and the one
// reported by the kernel; ok is false if there is no packet.
func (r *receiver) receive(t testing.TB) (payload, mark uint32, ok bool) {
	t.Helper()
	n, oobn, _, _, err := unix.Recvmsg(r.fd, r.data[:], r.oob[:], 0)
	if err == unix.EAGAIN {
		return 0, 0, false
	}
	if err != nil || n != 4 {
		t.Fatalf("received %d bytes, error %v", n, err)
	}
	control, err := unix.ParseSocketControlMessage(r.oob[:oobn])
	if err != nil || len(control) != 1 || control[0].Header.Type != unix.SO_MARK {
		t.Fatalf("control messages %v, error %v; want the mark", control, err)
	}
	return binary.BigEndian.Uint32(r.data[:]), binary.NativeEndian.Uint32(control[0].Data), true
}

func write(t testing.TB, d *device, p []byte) {
	t.Helper()
	if _, err := unix.Write(d.queues[0], p); err != nil {
		t.Fatal(err)
	}
}

// checkIncoming writes packets with some marks and checks that a socket and
// Netfilter see them.
func checkIncoming(t *testing.T, ns *testnet.NS, d *device, i *skbmark.Incoming) {
	t.Helper()
	r := newReceiver(t, ns)
	for _, m := range someMarks {
		i.Arm(m)
		write(t, d, packet(m))
		if !i.Seen() {
			t.Errorf("packet with mark %#x was not seen", m)
		}
		if p, got, ok := r.receive(t); !ok || p != m || got != m {
			t.Errorf("received %v, packet %#x with mark %#x; want %#x", ok, p, got, m)
		}
	}
	i.Disarm()
	write(t, d, packet(1))
	if p, got, ok := r.receive(t); !ok || p != 1 || got != 0 || !i.Seen() {
		t.Errorf("disarmed: received %v, packet %#x with mark %#x, seen %v", ok, p, got, i.Seen())
	}
}

// ways runs a test with tcx and with clsact.
func ways(t *testing.T, test func(t *testing.T, how string, set func(*skbmark.Incoming))) {
	t.Run("tcx", func(t *testing.T) { test(t, "tcx", func(*skbmark.Incoming) {}) })
	t.Run("clsact", func(t *testing.T) { test(t, "clsact", (*skbmark.Incoming).WithoutTCX) })
}

func TestIncomingMarks(t *testing.T) {
	ways(t, func(t *testing.T, how string, set func(*skbmark.Incoming)) {
		ns := namespace(t)
		d := openDevice(t, ns, "t0", 1)
		i := newIncoming(t)
		set(i)
		if got := i.How(); got != "" {
			t.Errorf("How is %q before Attach", got)
		}
		attach(t, ns, "t0", i)
		attach(t, ns, "t0", i) // again
		if got := i.How(); got != how {
			t.Errorf("How is %q, want %q", got, how)
		}
		checkIncoming(t, ns, d, i)
	})
}

func TestIncomingSurvivesRenameMoveAndDown(t *testing.T) {
	ways(t, func(t *testing.T, how string, set func(*skbmark.Incoming)) {
		ns := namespace(t)
		other := testnet.New(t)
		other.Quiet()
		d := openDevice(t, ns, "t0", 1)
		i := newIncoming(t)
		set(i)
		attach(t, ns, "t0", i)
		if err := ns.Link().SetDown(ns.Index("t0")); err != nil {
			t.Fatal(err)
		}
		rename(t, ns, "t0", "t1")
		d.up(ns, "t1")
		checkIncoming(t, ns, d, i)

		move(t, ns, "t1", other)
		d.up(other, "t1")
		if how == "clsact" { // the kernel has removed it
			i.Arm(7)
			write(t, d, packet(7))
			if i.Seen() {
				t.Error("seen without a filter")
			}
			attach(t, other, "t1", i)
		}
		checkIncoming(t, other, d, i)
		attach(t, other, "t1", i) // harmless if nothing was lost
		checkIncoming(t, other, d, i)
	})
}

func TestIncomingInNetfilter(t *testing.T) {
	ns := namespace(t)
	testnet.Need(t, "nft")
	d := openDevice(t, ns, "t0", 1)
	i := newIncoming(t)
	attach(t, ns, "t0", i)
	ns.MustRun("nft", "add table inet t; add chain inet t c { type filter hook prerouting priority -300; };"+
		"add rule inet t c iif t0 meta mark 0x12345678 counter")
	for n := range uint32(6) {
		m := 0x12345678 * (n % 2)
		i.Arm(m)
		write(t, d, packet(m))
	}
	counter := regexp.MustCompile(`counter packets (\d+)`).FindStringSubmatch(ns.MustRun("nft", "list", "table", "inet", "t"))
	if counter == nil || counter[1] != "3" {
		t.Errorf("the rule counted %v, want 3 packets", counter)
	}
}

func TestIncomingCloseDetaches(t *testing.T) {
	ways(t, func(t *testing.T, how string, set func(*skbmark.Incoming)) {
		ns := namespace(t)
		d := openDevice(t, ns, "t0", 1)
		i, err := skbmark.NewIncoming()
		if err != nil {
			t.Fatal(err)
		}
		set(i)
		attach(t, ns, "t0", i)
		i.Arm(7)
		if err := i.Close(); err != nil {
			t.Error(err)
		}
		r := newReceiver(t, ns)
		write(t, d, packet(7))
		if _, mark, ok := r.receive(t); mark != 0 || !ok {
			t.Errorf("received %v, mark %d, want none", ok, mark)
		}
	})
}

func TestIncomingCloseAfterTheDevice(t *testing.T) {
	ways(t, func(t *testing.T, how string, set func(*skbmark.Incoming)) {
		ns := namespace(t)
		openDevice(t, ns, "t0", 1)
		i := newIncoming(t) // closed at the end, must not fail
		set(i)
		attach(t, ns, "t0", i)
		if err := ns.Link().Delete(ns.Index("t0")); err != nil {
			t.Fatal(err)
		}
	})
}

func TestTwoIncomingCoexist(t *testing.T) {
	ns := namespace(t)
	d := openDevice(t, ns, "t0", 1)
	i := newIncoming(t)
	attach(t, ns, "t0", i)
	second := newIncoming(t)
	attach(t, ns, "t0", second) // runs first
	filter := newIncoming(t)
	filter.WithoutTCX()
	attach(t, ns, "t0", filter) // after tcx
	r := newReceiver(t, ns)
	for n := range uint32(3) {
		all := []*skbmark.Incoming{second, i, filter} // in the order they run
		want := uint32(0)
		for k, each := range all {
			each.Disarm()
			if uint32(k) <= n {
				want = 10 + uint32(k)
				each.Arm(want)
			}
		}
		write(t, d, packet(n))
		for k, each := range all {
			if !each.Seen() {
				t.Errorf("packet %d was not seen by program %d", n, k)
			}
		}
		if p, mark, ok := r.receive(t); !ok || p != n || mark != want {
			t.Errorf("received %v, packet %d with mark %d; want %d with %d", ok, p, mark, n, want)
		}
	}
}

// With RPS another processor handles a packet some time later. The caller
// detects that and stops, and no packet gets the mark of another.
func TestSeenNoticesRPS(t *testing.T) {
	if runtime.NumCPU() < 2 {
		t.Skip("needs two processors")
	}
	ns := namespace(t)
	testnet.Need(t, "unshare")
	d := openDevice(t, ns, "t0", 1)
	i := newIncoming(t)
	attach(t, ns, "t0", i)
	r := newReceiver(t, ns)

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	one.Set(0)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	defer unix.SchedSetaffinity(0, &before)
	// Processor 0 handles its own packets before the write returns.
	ns.MustRun("unshare", "--mount", "sh", "-c",
		"mount -t sysfs sysfs /sys && echo 2 > /sys/class/net/t0/queues/rx-0/rps_cpus")

	var seen []uint32
	check := func() {
		t.Helper()
		for {
			p, mark, ok := r.receive(t)
			if !ok {
				return
			}
			seen = append(seen, p)
			if mark != 0 && mark != p {
				t.Fatalf("packet %d has mark %d", p, mark)
			}
		}
	}
	written := uint32(0)
	deadline := time.Now().Add(testnet.Patience)
	for {
		written++
		i.Arm(written)
		write(t, d, packet(written))
		if !i.Seen() {
			break
		}
		check()
		if time.Now().After(deadline) {
			t.Fatal("the other processor was always faster")
		}
	}
	i.Disarm()
	for range 10 {
		written++
		write(t, d, packet(written))
	}
	for len(seen) < int(written) && time.Now().Before(deadline) {
		check()
	}
	if len(seen) != int(written) {
		t.Errorf("%d packets received, want %d", len(seen), written)
	}
	if !i.Seen() {
		t.Error("Seen reports false with nothing armed")
	}
}

func TestIncomingSequenceWrapsAround(t *testing.T) {
	ns := namespace(t)
	d := openDevice(t, ns, "t0", 1)
	i := newIncoming(t)
	attach(t, ns, "t0", i)
	i.SetSequence(1<<32 - 3)
	checkIncoming(t, ns, d, i)
}

func TestIncomingAttachErrors(t *testing.T) {
	ways(t, func(t *testing.T, how string, set func(*skbmark.Incoming)) {
		ns := namespace(t)
		i := newIncoming(t)
		set(i)
		ns.Do(func() {
			if err := i.Attach(1 << 20); err == nil {
				t.Errorf("attached to interface %s, which does not exist", strconv.Itoa(1<<20))
			}
		})
		if got := i.How(); got != "" {
			t.Errorf("How is %q after an error", got)
		}
	})
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	i := newIncoming(t)
	o, err := skbmark.NewOutgoing()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	o.SetQueues(skbmark.MaxQueues)
	n := testing.AllocsPerRun(100, func() {
		i.Arm(7)
		_ = i.Seen()
		i.Disarm()
		_ = o.Mark(3)
		_ = o.Free()
		_ = o.Retire()
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
