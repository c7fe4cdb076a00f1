package e2e

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/internal/testnet/solo5"
	"github.com/muennet/muennet/shmstream"
)

// unikernel is a host whose net0 leads to a unikernel, which looks at its
// channel every millisecond.
type unikernel struct {
	*host
	peer *solo5.Peer
	out  []byte // the channel from net0 to the unikernel
	conn *net.UDPConn
	next uint32 // number of the next datagram
}

// bootSolo5 loads net0 with these parameters besides the usual ones of such a
// peer, gives it an address and boots the unikernel at addrB.
func bootSolo5(t *testing.T, params ...string) *unikernel {
	t.Helper()
	dir := makeChannels(t, "s|in", "s|out") // as the unikernel sees them
	s := &unikernel{host: newHost(t, dir)}
	var channels [][]byte
	for _, c := range []struct {
		name string
		mode region.Access
	}{{"s|in", region.ReadOnly}, {"s|out", region.ReadWrite}} {
		r, err := region.Open(dir, c.name, c.mode)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		channels = append(channels, r.Bytes())
	}
	s.out = channels[0]
	var err error
	if s.peer, err = solo5.New(solo5.Config{In: channels[0], Out: channels[1], Addr: netip.MustParseAddr(addrB)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.peer.Run(time.Millisecond))
	t.Cleanup(func() {
		if v := s.peer.Violations(); len(v) > 0 {
			t.Errorf("the unikernel's memory was damaged: %q", v)
		}
	})
	s.start(append([]string{"name=net0", "in=s|out", "out=s|in", "flags=eth_dev",
		"reader_protocol=7ade5c549b08e814", "writer_protocol=7ade5c549b08e814"}, params...)...)
	s.Up("net0", addrA+"/24")
	s.awaitShow("net0", "the unikernel is heard", func(i api.Interface) bool { return i.Reader.Peer == "active" })
	return s
}

// dial opens a UDP socket to the unikernel, which is a neighbour from now on
// even if it does not answer for long.
func (s *unikernel) dial() {
	s.t.Helper()
	s.ip("neigh replace " + addrB + " lladdr " + s.peer.MAC().String() + " dev net0 nud permanent")
	s.Do(func() {
		var err error
		if s.conn, err = net.DialUDP("udp", nil, &net.UDPAddr{IP: net.ParseIP(addrB), Port: 7}); err != nil {
			s.t.Fatal(err)
		}
	})
	s.t.Cleanup(func() { s.conn.Close() })
	raw, err := s.conn.SyscallConn()
	if err != nil {
		s.t.Fatal(err)
	}
	if e := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20) }); e != nil || err != nil {
		s.t.Fatal(e, err)
	}
}

// send sends n datagrams with the next numbers.
func (s *unikernel) send(n int) {
	s.t.Helper()
	var payload [100]byte
	for range n {
		binary.BigEndian.PutUint32(payload[:], s.next)
		s.next++
		if _, err := s.conn.Write(payload[:]); err != nil {
			s.t.Fatal(err)
		}
	}
}

// receive returns the number of the next echo; false if none comes in time.
func (s *unikernel) receive(wait time.Duration) (uint32, bool) {
	s.t.Helper()
	var buf [200]byte
	if err := s.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		s.t.Fatal(err)
	}
	n, err := s.conn.Read(buf[:])
	if err != nil {
		return 0, false
	}
	if n != 100 {
		s.t.Fatalf("echo of %d bytes", n)
	}
	return binary.BigEndian.Uint32(buf[:]), true
}

// echo sends n datagrams, at most those that fit the ring, and has all of them
// come back, in their order.
func (s *unikernel) echo(n int) {
	s.t.Helper()
	first := s.next
	s.send(n)
	for want := first; want < s.next; want++ {
		if got, ok := s.receive(patience); !ok || got != want {
			s.t.Fatalf("echo %d (%v), want %d; unikernel %+v", got, ok, want, s.peer.Stats())
		}
	}
}

// overrun keeps the unikernel from reading while more than a ring is sent.
func (s *unikernel) overrun() {
	s.t.Helper()
	header := func() shmstream.Header {
		h, err := shmstream.ReadHeader(s.out)
		if err != nil {
			s.t.Fatal(err)
		}
		return h
	}
	s.peer.Hold(true)
	before := header()
	testnet.Eventually(s.t, "the ring is overrun", func() bool {
		s.send(64)
		return header().WC-before.WC > before.Elements+64
	})
	s.peer.Hold(false)
	testnet.Eventually(s.t, "the unikernel is stuck", func() bool { return s.peer.Stats().Stuck })
}

// recover sends datagrams now and then until the latest one comes back.
func (s *unikernel) recover() {
	s.t.Helper()
	testnet.Eventually(s.t, "an echo comes", func() bool {
		s.send(1)
		for {
			got, ok := s.receive(50 * time.Millisecond)
			if !ok || got == s.next-1 {
				return ok
			}
		}
	})
}

func (s *unikernel) renewals() uint64 { s.t.Helper(); return s.show("net0").Writer.Renewals }

func TestSolo5ARPAndPing(t *testing.T) {
	begin(t)
	s := bootSolo5(t)
	ping := newPinger(t, s.host, addrA, addrB)
	ping.sweep(0, 100)
	ping.sweep(1400, 1500-overhead4)
	if neighbour := s.ip("neigh show dev net0 to " + addrB); !strings.Contains(neighbour, s.peer.MAC().String()) {
		t.Errorf("neighbour %q, want %v", neighbour, s.peer.MAC())
	}
	i := s.show("net0")
	if i.Renew != 2 || i.Writer.ElementSize != 1516 || i.Writer.Renewals != 0 {
		t.Errorf("%+v, writer %+v", i, i.Writer)
	}
	if got := s.peer.Stats(); got.Overruns != 0 {
		t.Errorf("unikernel %+v", got)
	}
}

// A million packets, and the unikernel stuck now and then.
func TestSolo5Million(t *testing.T) {
	begin(t)
	s := bootSolo5(t)
	s.dial()
	const packets, batch, overruns = 1_000_000, 256, 5
	const datagrams = packets / 2 // each comes back
	for n := range uint64(overruns) {
		for range datagrams / overruns / batch {
			s.echo(batch)
		}
		if got := s.peer.Stats(); got.Overruns != n || s.renewals() < n {
			t.Fatalf("unikernel %+v, %d renewals; want %d overruns", got, s.renewals(), n)
		}
		s.overrun()
		s.recover()
		if got := s.renewals(); got < n+1 {
			t.Fatalf("%d renewals after overrun %d", got, n+1)
		}
	}
	s.echo(batch)
	if got := s.peer.Stats(); got.Received+got.Sent < packets*99/100 || got.Overruns != overruns {
		t.Errorf("unikernel %+v, want %d packets and %d overruns", got, packets, overruns)
	}
	if i := s.show("net0"); i.Stats.RxErrors != 0 || i.Stats.TxDropped != 0 {
		t.Errorf("%+v", i.Stats)
	}
}

// Without renewals it stays stuck, until something else begins an epoch.
func TestSolo5RenewOff(t *testing.T) {
	begin(t)
	s := bootSolo5(t, "renew=0")
	s.dial()
	s.echo(256)
	s.overrun()
	for range 100 { // 5 s, twice the default and more
		s.send(16)
		if n, ok := s.receive(50 * time.Millisecond); ok {
			t.Fatalf("echo of %d", n)
		}
	}
	if i := s.show("net0"); i.Renew != 0 || i.Writer.Renewals != 0 || !s.peer.Stats().Stuck {
		t.Fatalf("%d renewals with renew=%d; unikernel %+v", i.Writer.Renewals, i.Renew, s.peer.Stats())
	}
	s.ip("link set net0 down")
	s.Up("net0")
	s.ip("neigh replace " + addrB + " lladdr " + s.peer.MAC().String() + " dev net0 nud permanent")
	s.recover()
	s.echo(256)
}

// A unikernel that is started again begins with the first element of the epoch,
// however long it has been overwritten.
func TestSolo5Restarts(t *testing.T) {
	begin(t)
	s := bootSolo5(t)
	s.dial()
	for n := range uint64(3) {
		for range 8 { // more than twice the ring
			s.echo(256)
		}
		epochs := s.show("net0").Reader.Epochs
		s.peer.Boot()
		s.awaitShow("net0", "the start is noticed", func(i api.Interface) bool { return i.Reader.Epochs > epochs })
		s.recover()
		if got := s.renewals(); got != n+1 {
			t.Errorf("%d renewals after start %d", got, n+1)
		}
	}
}
