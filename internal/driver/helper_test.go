package driver

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/internal/testnet/feed"
	"github.com/muennet/muennet/shmstream"
)

const testProtocol = 2

// lab is a namespace and a channel directory, for one or more drivers.
type lab struct {
	t     testing.TB
	ns    *testnet.NS
	dir   string // of the channels
	state string // file
	log   logBook
}

// newLab makes the channels a, b and c of 64 KiB.
func newLab(t testing.TB) *lab {
	t.Helper()
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	l := &lab{t: t, ns: testnet.New(t), dir: t.TempDir()}
	l.state = filepath.Join(t.TempDir(), "state")
	l.ns.Quiet()
	for _, name := range []string{"a", "b", "c"} {
		if err := region.Create(l.dir, name, 64<<10, region.DefaultMode); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// driver returns a driver that is closed when the test ends.
func (l *lab) driver() *Driver {
	d := New(Options{Channels: l.dir, State: l.state, Log: slog.New(slog.NewTextHandler(&l.log, nil))})
	l.t.Cleanup(func() { d.Close() })
	return d
}

// load loads interfaces in the namespace of the lab.
func (l *lab) load(d *Driver, interfaces ...Interface) (names []string, err error) {
	l.t.Helper()
	l.ns.Do(func() { names, err = d.Load(Config{Interfaces: interfaces}) })
	return names, err
}

func (l *lab) mustLoad(d *Driver, interfaces ...Interface) {
	l.t.Helper()
	if _, err := l.load(d, interfaces...); err != nil {
		l.t.Fatal(err)
	}
}

// crash ends a driver like the end of its process: descriptors and locks go,
// devices and the state file stay.
func crash(d *Driver) {
	d.mu.Lock()
	gone := d.parents
	d.parents = nil
	d.mu.Unlock()
	for _, p := range gone {
		p.close(true)
	}
	d.stop()
}

// status returns the state of the only interface.
func status(t testing.TB, d *Driver) api.Interface {
	t.Helper()
	all := d.Status()
	if len(all) != 1 {
		t.Fatalf("%d interfaces, want 1", len(all))
	}
	return all[0]
}

// netHdr is an interface that reads a and writes b.
func netHdr(name string) Interface {
	return Interface{Name: name, Format: element.NetHdr, In: "a", Out: "b", ReaderProtocol: testProtocol, WriterProtocol: testProtocol}
}

// ethDev is netHdr with Ethernet frames.
func ethDev(name string) Interface {
	i := netHdr(name)
	i.Format = element.EthDev
	return i
}

// peer is the writer at the other end of an in-channel.
type peer struct{ w *feed.Writer }

func (l *lab) peer(channel string) *peer {
	l.t.Helper()
	r, err := region.Open(l.dir, channel, region.ReadWrite)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { r.Close() })
	return &peer{feed.New(l.t, r.Bytes())}
}

// start begins an epoch of net_hdr elements for an MTU of 1500.
func (p *peer) start() { p.w.Begin(testProtocol, element.NetHdr.Size(1500)) }

// send writes one packet that carries the number.
func (p *peer) send(number uint32) { p.w.Put(element.NetHdr, packet(number), 0) }

// ring wakes a reader that sleeps.
func (p *peer) ring() { p.w.Ring() }

// packet is an IPv4 packet of protocol 253 (RFC 3692) that carries a number.
func packet(number uint32) []byte {
	p := make([]byte, 24)
	p[0], p[3], p[8], p[9] = 0x45, 24, 64, 253
	copy(p[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	binary.BigEndian.PutUint32(p[20:], number)
	return p
}

// logBook collects what is logged.
type logBook struct{ testnet.Buffer }

func (b *logBook) contains(s string) bool { return strings.Contains(b.String(), s) }
func (b *logBook) count(s string) int     { return strings.Count(b.String(), s) }

func truncate(t testing.TB, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

// sender returns what sends a datagram with a mark to an address.
func (l *lab) sender(to string) (send func(mark uint32)) {
	l.t.Helper()
	var fd int
	l.ns.Do(func() {
		var err error
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			l.t.Fatal(err)
		}
	})
	l.t.Cleanup(func() { unix.Close(fd) })
	address := &unix.SockaddrInet4{Addr: netip.MustParseAddr(to).As4(), Port: 9}
	return func(mark uint32) {
		l.t.Helper()
		must(l.t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)))
		must(l.t, unix.Sendto(fd, []byte("muennet"), 0, address))
	}
}

// reader returns what takes the next element of a channel.
func (l *lab) reader(channel string) (next func() (element.Packet, shmstream.Result)) {
	l.t.Helper()
	region, err := region.Open(l.dir, channel, region.ReadOnly)
	must(l.t, err)
	l.t.Cleanup(func() { region.Close() })
	r, err := shmstream.NewReader(region.Bytes(), shmstream.Expect{Protocol: testProtocol, MinSize: 1})
	must(l.t, err)
	buf := make([]byte, 1<<16)
	return func() (element.Packet, shmstream.Result) {
		slot, result := r.Next()
		if result != shmstream.Success {
			return element.Packet{}, result
		}
		p, _ := element.NetHdr.Decode(buf, slot)
		return p, r.Confirm()
	}
}
