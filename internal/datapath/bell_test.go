package datapath

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/doorbell"
	"github.com/muennet/muennet/internal/testnet"
)

// memory is a kind of memory as a test wants it.
type memory struct {
	futex      bool
	events     string
	descriptor int
}

func (m memory) Futex() bool       { return m.futex }
func (m memory) EventPath() string { return m.events }
func (m memory) Descriptor() int   { return m.descriptor }

// senderOn is startSender for a channel in memory of some kind.
func senderOn(t testing.TB, region []byte, m doorbell.Memory) *Sender {
	t.Helper()
	s, err := NewSender(SenderConfig{Region: region, Format: element.NetHdr, Protocol: testProtocol, Memory: m, Log: silent,
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

// eventFile makes a channel's event file and returns its path, and what counts
// the events raised since it was last called.
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

// An event is a call of the separation kernel: one for a burst, however long.
func TestSenderRaisesOneEventPerBurst(t *testing.T) {
	testnet.CheckLeaks(t)
	path, received := eventFile(t)
	dev := newFakeDevice()
	s := senderOn(t, mmapRegion(t, 1<<20), memory{events: path})
	if n := received(); n != 1 {
		t.Errorf("%d events for the start of the writer, want 1", n)
	}
	o := NewOutbound(OutboundConfig{Device: dev, Sender: s})
	for _, packets := range []int{burstSize, 1, ringEvery + 1} {
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
	if st.Rings != 4 || st.RingErrors != 0 || st.Doorbell != "muenfs events" || st.DoorbellErr != nil {
		t.Errorf("%d rings, %d errors by %s: %v", st.Rings, st.RingErrors, st.Doorbell, st.DoorbellErr)
	}
	s.Stop()
	if n := received(); n != 1 {
		t.Errorf("%d events for the stop of the writer, want 1", n)
	}
}

// Nobody can be woken: nothing is rung, and what is sent arrives all the same.
func TestSenderWithoutBell(t *testing.T) {
	region := mmapRegion(t, 1<<16)
	for _, c := range []struct {
		memory memory
		want   string
	}{
		{memory{}, "futexes do not work on this memory"},
		{memory{events: filepath.Join(t.TempDir(), "a|in")}, "no such file or directory"},
	} {
		s := senderOn(t, region, c.memory)
		r, buf := newReader(t, region), make([]byte, 2048)
		s.send(ip(100, 1), 0, new(TxCounters))
		s.flush()
		until(t, "packet", func() bool { p, _ := read(t, r, element.NetHdr, buf); return len(p.Data) == 100 })
		st := s.Status()
		if st.Rings != 0 || st.RingErrors != 0 || st.Doorbell != "polling" || !strings.HasSuffix(st.DoorbellErr.Error(), c.want) {
			t.Errorf("%d rings, %d errors by %s: %v, want %s", st.Rings, st.RingErrors, st.Doorbell, st.DoorbellErr, c.want)
		}
	}
}
