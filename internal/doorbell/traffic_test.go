package doorbell_test

import (
	"encoding/binary"
	"io"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/datapath"
	"github.com/muennet/muennet/internal/doorbell"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
)

// muenfs is a region in a file that acts as a channel of a muenfs. Its event
// file and its interrupt are the two ends of a FIFO.
type muenfs struct {
	*region.Region
	events    string
	interrupt int
}

func (muenfs) Futex() bool         { return false }
func (m muenfs) EventPath() string { return m.events }
func (m muenfs) Descriptor() int   { return m.interrupt }

// packets is a device from which the kernel sends numbered packets, or that
// checks and counts those it receives.
type packets struct {
	t        testing.TB
	queue    chan uint32
	end      chan struct{}
	received atomic.Uint32
}

func (p *packets) Read(b []byte) (n, queue int, err error) {
	select {
	case number := <-p.queue:
		packet := b[:40]
		clear(packet)
		packet[0], packet[3] = 0x45, 40
		binary.BigEndian.PutUint32(packet[20:], number)
		return len(packet), 0, nil
	default:
		return 0, 0, unix.EAGAIN
	}
}

func (p *packets) Write(b []byte) (int, error) {
	if n := binary.BigEndian.Uint32(b[20:]); n != p.received.Load() {
		p.t.Errorf("packet %d comes as number %d", n, p.received.Load())
	}
	p.received.Add(1)
	return len(b), nil
}

func (p *packets) Writev([][]byte) (int, error) { return 0, unix.EINVAL }

func (p *packets) Wait(ready func() bool) error {
	for !ready() {
		select {
		case <-p.end:
			return io.EOF
		case <-time.After(100 * time.Microsecond):
		}
	}
	return nil
}

func (p *packets) Interrupt() error { close(p.end); return nil }
func (p *packets) Resume() error    { return nil }

// From device to device by events alone: writer, event file, interrupt, reader.
func TestTrafficByEvents(t *testing.T) {
	testnet.CheckLeaks(t)
	dir := t.TempDir()
	if err := region.Create(dir, "a", 1<<16, region.DefaultMode); err != nil {
		t.Fatal(err)
	}
	events := filepath.Join(dir, "a.event")
	if err := unix.Mkfifo(events, 0o600); err != nil {
		t.Fatal(err)
	}
	interrupt, err := unix.Open(events, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(interrupt) })
	// A report clears readiness, as with a muenfs.
	t.Cleanup(doorbell.SetPoll(func(fds []unix.PollFd, timeout *unix.Timespec) (int, error) {
		n, err := unix.Ppoll(fds, timeout, nil)
		for _, fd := range fds {
			if int(fd.Fd) == interrupt && fd.Revents&unix.POLLIN != 0 {
				_, _ = unix.Read(interrupt, make([]byte, 1<<16))
			}
		}
		return n, err
	}))
	open := func(access region.Access) muenfs {
		r, err := region.Open(dir, "a", access)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		return muenfs{r, events, interrupt}
	}
	log := slog.New(slog.DiscardHandler)
	fault := func(err error) { t.Errorf("fault: %v", err) }

	out := open(region.ReadWrite)
	sender, err := datapath.NewSender(datapath.SenderConfig{Region: out.Bytes(), Format: element.NetHdr, Protocol: 2, Memory: out, Log: log, OnFault: fault})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sender.Close)
	from := &packets{t: t, queue: make(chan uint32, 64), end: make(chan struct{})}
	outbound := datapath.NewOutbound(datapath.OutboundConfig{Device: from, Sink: sender})
	go outbound.Run()
	t.Cleanup(outbound.Close)
	if err := sender.Start(element.NetHdr.Size(1500)); err != nil {
		t.Fatal(err)
	}

	in, to := open(region.ReadOnly), &packets{t: t}
	inbound, err := datapath.NewInbound(datapath.InboundConfig{Port: datapath.NewPort(datapath.PortConfig{Device: to, Log: log}), Region: in.Bytes(),
		Format: element.NetHdr, Protocol: 2, Memory: in, Poll: time.Millisecond, Log: log, OnPeer: func(bool) {}, OnFault: fault})
	if err != nil {
		t.Fatal(err)
	}
	go inbound.Run()
	t.Cleanup(inbound.Close)
	if err := inbound.Resume(); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "peer", func() bool { return inbound.Status().Peer == datapath.PeerActive })

	outbound.Resume()
	for n := range uint32(2000) {
		from.queue <- n
		if n%16 == 15 { // never half the ring
			testnet.Eventually(t, "packets", func() bool { return to.received.Load() == n+1 })
		}
	}
	r, w := inbound.Status(), sender.Status()
	if w.Doorbell != "muenfs events" || w.DoorbellErr != nil || w.Rings < 2000/16 || w.RingErrors != 0 {
		t.Errorf("writer: %s, %d sent, %d errors: %v", w.Doorbell, w.Rings, w.RingErrors, w.DoorbellErr)
	}
	if r.DoorbellErr != nil || r.Wakeups == 0 || r.Reader.Overruns != 0 {
		t.Errorf("reader: %s, %d heard, %d overruns: %v", r.Doorbell, r.Wakeups, r.Reader.Overruns, r.DoorbellErr)
	}
	// An idle reader sleeps until the next event, and reports that.
	next := uint32(2000)
	testnet.Eventually(t, "doorbell", func() bool {
		from.queue <- next
		next++
		return inbound.Status().Doorbell == "muenfs events"
	})
	sender.Stop()
	testnet.Eventually(t, "end of the peer", func() bool { return inbound.Status().Peer == datapath.PeerInactive })
}
