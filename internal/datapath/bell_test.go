package datapath

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/doorbell"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
)

// memory is memory with the bells that a test chooses.
type memory struct {
	futex      bool
	events     string
	descriptor int
}

func (m memory) Futex() bool       { return m.futex }
func (m memory) EventPath() string { return m.events }
func (m memory) Descriptor() int   { return m.descriptor }

// senderOn is startSender for a channel in other memory.
func senderOn(t testing.TB, channel []byte, m doorbell.Memory) *Sender {
	t.Helper()
	s, err := NewSender(SenderConfig{Region: channel, Format: element.NetHdr, Protocol: testProtocol, Memory: m, Log: silent,
		OnFault: func(err error) { t.Errorf("fault: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Start(element.NetHdr.Size(1500)); err != nil {
		t.Fatal(err)
	}
	return s
}

// eventFile makes a channel's event file. received counts the events since its
// last call.
func eventFile(t testing.TB) (path string, received func() int) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "a|in")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return path, func() int {
		n, err := unix.Read(fd, make([]byte, 1<<20))
		if err != nil && err != unix.EAGAIN {
			t.Fatal(err)
		}
		return max(n, 0)
	}
}

// An event is a call of the separation kernel. A burst of any length raises
// one.
func TestSenderRaisesOneEventPerBurst(t *testing.T) {
	testnet.CheckLeaks(t)
	path, received := eventFile(t)
	dev := newFakeDevice()
	s := senderOn(t, mmapRegion(t, 1<<20), memory{events: path})
	if n := received(); n != 1 {
		t.Errorf("%d events for the start of the writer, want 1", n)
	}
	if err := s.Start(9000); err != nil {
		t.Fatal(err)
	}
	received()
	o := NewOutbound(OutboundConfig{Device: dev, Sink: s})
	for _, packets := range []int{burstSize, 1, ringEvery/9000 + 2} {
		for range packets {
			dev.send(ip(1500, 1))
		}
		if n := o.burst(); n != packets {
			t.Fatalf("a burst of %d, want %d", n, packets)
		}
		if n := received(); n != 1 {
			t.Errorf("%d events for a burst of %d", n, packets)
		}
	}
	o.burst()
	if n := received(); n != 0 {
		t.Errorf("%d events for nothing", n)
	}
	st := s.Status()
	if st.Rings != 5 || st.RingErrors != 0 || st.Doorbell != "muenfs events" || st.DoorbellErr != nil {
		t.Errorf("%d rings, %d errors by %s: %v", st.Rings, st.RingErrors, st.Doorbell, st.DoorbellErr)
	}
	s.Stop()
	if n := received(); n != 1 {
		t.Errorf("%d events for the stop of the writer, want 1", n)
	}
}

// Without a bell nothing is rung, and packets arrive all the same.
func TestSenderWithoutBell(t *testing.T) {
	channel := mmapRegion(t, 1<<16)
	for _, c := range []struct {
		memory memory
		want   string
	}{
		{memory{}, "futexes do not work on this memory"},
		{memory{events: filepath.Join(t.TempDir(), "a|in")}, "no such file or directory"},
	} {
		s := senderOn(t, channel, c.memory)
		r, buf := newReader(t, channel), make([]byte, 2048)
		s.send(ip(100, 1), 0, new(TxCounters))
		s.flush()
		testnet.Eventually(t, "packet", func() bool { p, _ := read(t, r, element.NetHdr, buf); return len(p.Data) == 100 })
		st := s.Status()
		if st.Rings != 0 || st.RingErrors != 0 || st.Doorbell != "polling" || !strings.HasSuffix(st.DoorbellErr.Error(), c.want) {
			t.Errorf("%d rings, %d errors by %s: %v, want %s", st.Rings, st.RingErrors, st.Doorbell, st.DoorbellErr, c.want)
		}
	}
}

// noFutex is a region in a file that claims to have no futexes.
type noFutex struct{ *region.Region }

func (noFutex) Futex() bool { return false }

// openTwice opens a channel for its writer, which locks it, and for its reader.
func openTwice(t testing.TB) (writer, reader *region.Region) {
	t.Helper()
	dir := t.TempDir()
	if err := region.Create(dir, "a", 1<<16, region.DefaultMode); err != nil {
		t.Fatal(err)
	}
	open := func(access region.Access) *region.Region {
		r, err := region.Open(dir, "a", access)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		return r
	}
	writer, reader = open(region.ReadWrite), open(region.ReadOnly)
	if err := writer.Lock(); err != nil {
		t.Fatal(err)
	}
	return writer, reader
}

// Traffic without a bell from device to device, in bursts and after pauses long
// enough for the process's poller to take over.
func TestTrafficWithoutFutexes(t *testing.T) {
	testnet.CheckLeaks(t)
	writer, reader := openTwice(t)
	from, to := newFakeDevice(), newFakeDevice()
	s := senderOn(t, writer.Bytes(), noFutex{writer})
	runOutbound(t, from, s).Resume()
	in := runInbound(t, reader.Bytes(), to, func(c *InboundConfig) { c.Memory, c.Locked = noFutex{reader}, reader.WriterLocked })
	testnet.Eventually(t, "peer", func() bool { return in.Status().Peer == PeerActive })
	sent := 0
	for _, packets := range []int{1, 20, 1, 1} {
		for range packets {
			sent++
			from.send(ip(100+sent, byte(sent)))
		}
		testnet.Eventually(t, "packets", func() bool { return len(to.received()) == sent })
		time.Sleep(10 * time.Millisecond)
	}
	for i, p := range to.received() {
		if len(p) != 101+i {
			t.Errorf("packet %d has %d bytes, want %d", i, len(p), 101+i)
		}
	}
	s.Stop()
	testnet.Eventually(t, "end of the peer", func() bool { return in.Status().Peer == PeerInactive })
	st := in.Status()
	if st.Doorbell != "polling" || st.DoorbellErr == nil || st.Wakeups != 0 || st.Timeouts == 0 {
		t.Errorf("%d wake-ups, %d time-outs by %s: %v", st.Wakeups, st.Timeouts, st.Doorbell, st.DoorbellErr)
	}
	if st := s.Status(); st.Rings != 0 || st.RingErrors != 0 || st.Doorbell != "polling" {
		t.Errorf("%d rings, %d errors by %s", st.Rings, st.RingErrors, st.Doorbell)
	}
}

// A muenfs reports POLLERR for the channel of a peer that raises no events.
func TestTrafficWithoutVector(t *testing.T) {
	testnet.CheckLeaks(t)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	unix.Close(pipe[0]) // from now on the other end is POLLERR
	t.Cleanup(func() { unix.Close(pipe[1]) })
	channel, to := mmapRegion(t, 1<<16), newFakeDevice()
	s := senderOn(t, channel, memory{events: filepath.Join(t.TempDir(), "a")})
	in := runInbound(t, channel, to, func(c *InboundConfig) { c.Memory = memory{events: "/muenevents/a", descriptor: pipe[1]} })
	testnet.Eventually(t, "peer", func() bool { return in.Status().Peer == PeerActive })
	for n := 1; n <= 100; n++ {
		s.send(ip(100, byte(n)), 0, new(TxCounters))
		s.flush()
		testnet.Eventually(t, "packet", func() bool { return len(to.received()) == n })
	}
	st := in.Status()
	if st.Doorbell != "polling" || st.DoorbellErr == nil || st.DoorbellErr.Error() != "the channel has no interrupt of its own" || st.Wakeups != 0 {
		t.Errorf("%d wake-ups by %s: %v", st.Wakeups, st.Doorbell, st.DoorbellErr)
	}
}
