package datapath

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/shmstream"
)

// fakeDevice is a device for which the test plays the kernel.
type fakeDevice struct {
	mu          sync.Mutex
	change      *sync.Cond
	queue       [][]byte // from the kernel
	got         [][]byte // to the kernel
	refuse      error
	interrupted bool
}

func newFakeDevice() *fakeDevice {
	d := &fakeDevice{}
	d.change = sync.NewCond(&d.mu)
	return d
}

func (d *fakeDevice) Read(p []byte) (int, int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		return 0, 0, unix.EAGAIN
	}
	n := copy(p, d.queue[0])
	d.queue = d.queue[1:]
	return n, 0, nil
}

func (d *fakeDevice) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse != nil {
		return 0, d.refuse
	}
	d.got = append(d.got, slices.Clone(p))
	return len(p), nil
}

func (d *fakeDevice) Writev(parts [][]byte) (int, error) { return d.Write(slices.Concat(parts...)) }

func (d *fakeDevice) Wait(ready func() bool) error {
	for {
		d.mu.Lock()
		for !d.interrupted && len(d.queue) == 0 {
			d.change.Wait()
		}
		stop := d.interrupted
		d.mu.Unlock()
		if stop {
			return os.ErrDeadlineExceeded
		}
		if ready() {
			return nil
		}
	}
}

func (d *fakeDevice) Interrupt() error { return d.set(true) }
func (d *fakeDevice) Resume() error    { return d.set(false) }

func (d *fakeDevice) set(interrupted bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.interrupted = interrupted
	d.change.Broadcast()
	return nil
}

// send has the kernel send packets.
func (d *fakeDevice) send(packets ...[]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue = append(d.queue, packets...)
	d.change.Broadcast()
}

func (d *fakeDevice) received() [][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.got)
}

// mmapRegion returns memory for a channel that the race detector does not
// watch.
func mmapRegion(t testing.TB, size int) []byte {
	t.Helper()
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(b) })
	return b
}

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

var errRefused = errors.New("refused")

const testProtocol = 2

// ip returns an IPv4 packet of n >= 20 bytes. seed makes its payload
// recognisable.
func ip(n int, seed byte) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i)*7 + seed
	}
	p[0], p[1], p[2], p[3] = 0x45, 0, byte(n>>8), byte(n)
	return p
}

func startSender(t testing.TB, region []byte, f element.Format, mtu int) *Sender {
	t.Helper()
	s, err := NewSender(SenderConfig{Region: region, Format: f, Protocol: testProtocol, Log: silent,
		OnFault: func(err error) { t.Errorf("fault: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(f.Size(mtu)); err != nil {
		t.Fatal(err)
	}
	return s
}

func runInbound(t testing.TB, region []byte, dev Device, change func(*InboundConfig)) *Inbound {
	t.Helper()
	cfg := InboundConfig{Port: NewPort(PortConfig{Device: dev, Log: silent}), Region: region, Format: element.NetHdr, Protocol: testProtocol,
		Poll: time.Millisecond, Log: silent, OnPeer: func(bool) {},
		OnFault: func(err error) { t.Errorf("fault: %v", err) }}
	if change != nil {
		change(&cfg)
	}
	in, err := NewInbound(cfg)
	if err != nil {
		t.Fatal(err)
	}
	go in.Run()
	t.Cleanup(in.Close)
	if err := in.Resume(); err != nil {
		t.Fatal(err)
	}
	return in
}

// read reads the next packet from a channel as a peer would.
func read(t testing.TB, r *shmstream.Reader, f element.Format, buf []byte) (element.Packet, shmstream.Result) {
	t.Helper()
	slot, result := r.Next()
	if result != shmstream.Success {
		return element.Packet{}, result
	}
	p, fault := f.Decode(buf, slot)
	if result = r.Confirm(); result == shmstream.Success && fault != element.OK {
		t.Fatalf("element is faulty: %v", fault)
	}
	return p, result
}
