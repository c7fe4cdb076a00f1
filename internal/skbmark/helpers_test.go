package skbmark_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"testing"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/skbmark"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The device's own address, and a remote one.
var (
	local  = netip.MustParsePrefix("10.9.0.1/24")
	remote = netip.MustParseAddr("10.9.0.2")
)

const port = 4000

// namespace returns a quiet namespace, and checks that the test leaves nothing
// behind.
func namespace(t testing.TB) *testnet.NS {
	t.Helper()
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	ns := testnet.New(t)
	ns.Quiet()
	return ns
}

// device is a TUN with several queues.
type device struct {
	t      testing.TB
	name   string
	queues []int // non-blocking descriptors
	buf    [2048]byte
}

// openDevice creates a device that is up and has an address.
func openDevice(t testing.TB, ns *testnet.NS, name string, queues int) *device {
	t.Helper()
	d := &device{t: t, name: name}
	t.Cleanup(func() {
		for _, fd := range d.queues {
			unix.Close(fd)
		}
	})
	ns.Do(func() { d.addQueues(queues) })
	d.up(ns, name)
	return d
}

// addQueues attaches queues to the device in the namespace of the caller.
func (d *device) addQueues(n int) {
	d.t.Helper()
	for range n {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			d.t.Fatal(err)
		}
		d.queues = append(d.queues, fd)
		req, err := unix.NewIfreq(d.name)
		if err != nil {
			d.t.Fatal(err)
		}
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_MULTI_QUEUE)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
			d.t.Fatalf("attach queue: %v", err)
		}
	}
}

// up brings the device up, under its current name and in its current namespace.
func (d *device) up(ns *testnet.NS, name string) {
	d.t.Helper()
	h := ns.Link()
	i := ns.Index(name)
	if err := h.SetUp(i); err != nil {
		d.t.Fatal(err)
	}
	if err := h.AddAddress(i, local); err != nil && !errors.Is(err, unix.EEXIST) {
		d.t.Fatal(err)
	}
}

// read returns the mark in the payload of the next packet of a queue; ok is
// false if the queue is empty.
func (d *device) read(queue int) (mark uint32, ok bool, err error) {
	n, err := unix.Read(d.queues[queue], d.buf[:])
	if err == unix.EAGAIN {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("read queue %d: %w", queue, err)
	}
	mark, err = payload(d.buf[:n])
	return mark, err == nil, err
}

const headers = 20 + 8 // IPv4 without options, UDP

func payload(packet []byte) (mark uint32, err error) {
	if len(packet) != headers+4 || packet[0] != 0x45 || packet[9] != unix.IPPROTO_UDP {
		return 0, fmt.Errorf("packet %x is not one of the test", packet)
	}
	return binary.BigEndian.Uint32(packet[headers:]), nil
}

// packet returns a UDP packet from remote to the device's address.
func packet(mark uint32) []byte {
	p := make([]byte, headers+4)
	p[0], p[3], p[8], p[9] = 0x45, headers+4, 64, unix.IPPROTO_UDP
	copy(p[12:], remote.AsSlice())
	copy(p[16:], local.Addr().AsSlice())
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(p[10:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(p[20:], port)
	binary.BigEndian.PutUint16(p[22:], port)
	binary.BigEndian.PutUint16(p[24:], 8+4)
	binary.BigEndian.PutUint32(p[headers:], mark)
	return p
}

// sender sends UDP packets whose payload is their mark.
type sender struct {
	fd   int
	to   unix.SockaddrInet4
	data [4]byte
}

func newSender(t testing.TB, ns *testnet.NS) *sender {
	t.Helper()
	s := &sender{to: unix.SockaddrInet4{Port: port, Addr: remote.As4()}}
	ns.Do(func() {
		var err error
		s.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { unix.Close(s.fd) })
	// Tests may make many packets wait.
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 16<<20); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *sender) send(mark uint32) error {
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)); err != nil {
		return fmt.Errorf("set mark: %w", err)
	}
	binary.BigEndian.PutUint32(s.data[:], mark)
	return s.sendAgain()
}

// sendAgain sends the same packet once more.
func (s *sender) sendAgain() error { return unix.Sendto(s.fd, s.data[:], 0, &s.to) }

func mustSend(t testing.TB, s *sender, marks ...uint32) {
	t.Helper()
	for _, m := range marks {
		if err := s.send(m); err != nil {
			t.Fatal(err)
		}
	}
}

// kernels runs a test with the programs for current and for older kernels.
func kernels(t *testing.T, test func(t *testing.T, load func() (*skbmark.Outgoing, error))) {
	t.Run("loop", func(t *testing.T) { test(t, skbmark.NewOutgoing) })
	t.Run("older", func(t *testing.T) { test(t, skbmark.NewOlderOutgoing) })
}

// outgoing returns an Outgoing attached to the device.
func outgoing(t testing.TB, d *device) *skbmark.Outgoing {
	t.Helper()
	return attached(t, d, skbmark.NewOutgoing)
}

func attached(t testing.TB, d *device, load func() (*skbmark.Outgoing, error)) *skbmark.Outgoing {
	t.Helper()
	o, err := load()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := o.Attach(d.queues[0]); err != nil {
		t.Fatal(err)
	}
	o.SetQueues(len(d.queues))
	return o
}

// drain empties a queue, checks that all its packets have its mark, and returns
// their number.
func drain(d *device, o *skbmark.Outgoing, queue int) (packets int, err error) {
	return take(d, o, queue, math.MaxInt)
}

// take is drain for at most limit packets.
func take(d *device, o *skbmark.Outgoing, queue, limit int) (packets int, err error) {
	for packets < limit {
		mark, ok, err := d.read(queue)
		if err != nil || !ok {
			return packets, err
		}
		if got := o.Mark(queue); got != mark {
			return packets, fmt.Errorf("packet with mark %#x in queue %d, which has mark %#x", mark, queue, got)
		}
		packets++
	}
	return packets, nil
}

// drainAll empties all queues and returns the number of packets of each mark.
func drainAll(t testing.TB, d *device, o *skbmark.Outgoing) map[uint32]int {
	t.Helper()
	got := make(map[uint32]int)
	for q := range d.queues {
		n, err := drain(d, o, q)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			got[o.Mark(q)] += n
		}
	}
	return got
}

// dropped returns how many packets the device has dropped.
func dropped(t testing.TB, ns *testnet.NS, name string) uint64 {
	t.Helper()
	var n uint64
	ns.Do(func() {
		t.Helper()
		l, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		n = l.Attrs().Statistics.TxDropped
	})
	return n
}

// move moves an interface to another namespace.
func move(t testing.TB, from *testnet.NS, name string, to *testnet.NS) {
	t.Helper()
	h, err := link.Open(from.FD())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.MoveToNetNS(from.Index(name), to.FD()); err != nil {
		t.Fatal(err)
	}
}

func rename(t testing.TB, ns *testnet.NS, name, to string) {
	t.Helper()
	h, err := link.Open(ns.FD())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.SetName(ns.Index(name), to); err != nil {
		t.Fatal(err)
	}
}
