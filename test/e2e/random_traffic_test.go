package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/testnet"
)

// crossfire is traffic in both directions of a pair for as long as the test
// wants: TCP that reconnects, and UDP with several marks. Either may be lost at
// any time; neither may ever carry a wrong byte or a wrong mark.
type crossfire struct {
	t      *testing.T
	ctx    context.Context // until the traffic is to end
	cancel context.CancelFunc
	group  sync.WaitGroup

	datagrams [2]atomic.Int64 // that arrived intact, by the party that received them
	records   [2]atomic.Int64 // of TCP
	sockets   []*markSocket
}

// crossfireMarks are the marks of the datagrams.
var crossfireMarks = []uint32{0, 7, 1000, 0x80000001}

const (
	crossfirePort = "4001" // of TCP
	// impatience bounds what traffic waits for. An interface that has just gone
	// away does not tell its sockets.
	impatience = 300 * time.Millisecond
)

// startCrossfire starts traffic between two parties, in each of the namespaces
// where their interfaces may be.
func startCrossfire(t *testing.T, a, b *party) *crossfire {
	t.Helper()
	c := &crossfire{t: t}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	t.Cleanup(c.end)
	for i, p := range []*party{a, b} {
		for _, ns := range p.namespaces {
			s := newMarkSocket(t, ns, "", p.remote)
			timeout := unix.NsecToTimeval(impatience.Nanoseconds())
			if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
				t.Fatal(err)
			}
			c.sockets = append(c.sockets, s)
			c.group.Go(func() { c.fire(s) })
			c.group.Go(func() { c.catch(s, i) })
			c.serve(ns, i)
			c.group.Go(func() { c.dial(ns, p.remote) })
		}
	}
	return c
}

// end stops the traffic; more calls do nothing.
func (c *crossfire) end() {
	c.cancel()
	c.group.Wait()
}

// pause is false when the traffic is to end.
func (c *crossfire) pause(d time.Duration) bool {
	select {
	case <-c.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// fire sends numbered datagrams. That one cannot be sent is no error: the
// interface may be down, or elsewhere.
func (c *crossfire) fire(s *markSocket) {
	payload := make([]byte, 1400)
	for n := uint64(0); c.pause(500 * time.Microsecond); n++ {
		mark := crossfireMarks[n%uint64(len(crossfireMarks))]
		size := 16 + int(n*131%uint64(len(payload)-16))
		binary.BigEndian.PutUint64(payload, n)
		binary.BigEndian.PutUint32(payload[8:], mark)
		copy(payload[12:size], content(int(n%1e6), size-12))
		if s.sendMarked(mark, payload[:size]) != nil && !c.pause(10*time.Millisecond) {
			return
		}
	}
}

// catch checks the datagrams that arrive at one of the two parties.
func (c *crossfire) catch(s *markSocket, party int) {
	for c.ctx.Err() == nil {
		mark, p, err := s.recv()
		if err != nil {
			continue // nothing came
		}
		switch n := len(p); {
		case n < 16:
			c.t.Errorf("a datagram of %d bytes was not sent", n)
		case mark != binary.BigEndian.Uint32(p[8:]):
			c.t.Errorf("datagram %d arrived with mark %#x, it was sent with %#x", binary.BigEndian.Uint64(p), mark, p[8:12])
		case !bytes.Equal(p[12:], content(int(binary.BigEndian.Uint64(p)%1e6), n-12)):
			c.t.Errorf("datagram %d of %d bytes has wrong content", binary.BigEndian.Uint64(p), n)
		default:
			c.datagrams[party].Add(1)
		}
	}
}

// serve accepts connections in a namespace and checks what they carry.
func (c *crossfire) serve(ns *testnet.NS, party int) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	var l net.Listener
	ns.Do(func() {
		var err error
		if l, err = config.Listen(context.Background(), "tcp4", ":"+crossfirePort); err != nil {
			c.t.Fatal(err)
		}
	})
	context.AfterFunc(c.ctx, func() { l.Close() })
	c.group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.group.Go(func() {
				defer conn.Close()
				c.check(conn.(*net.TCPConn), party)
			})
		}
	})
}

// check reads records until the connection breaks or is idle.
func (c *crossfire) check(conn *net.TCPConn, party int) {
	record := make([]byte, recordSize)
	for n := 0; ; n++ {
		for got := 0; got < len(record); {
			if err := conn.SetReadDeadline(time.Now().Add(2 * impatience)); err != nil {
				return
			}
			more, err := conn.Read(record[got:])
			got += more
			if err != nil {
				c.compare(record[:got], n)
				return
			}
		}
		if !c.compare(record, n) {
			return
		}
		c.records[party].Add(1)
	}
}

// compare checks the beginning of record n, or all of it.
func (c *crossfire) compare(got []byte, n int) bool {
	if !bytes.Equal(got, record(n)[:len(got)]) {
		c.t.Errorf("record %d of a TCP stream is wrong", n)
		return false
	}
	return true
}

// dial connects again and again and sends a few records each time, slowly
// enough to leave the machine to others.
func (c *crossfire) dial(ns *testnet.NS, to string) {
	d := net.Dialer{Timeout: 2 * impatience}
	d.SetMultipathTCP(false)
	for c.pause(20 * time.Millisecond) {
		var conn net.Conn
		var err error
		ns.Do(func() { conn, err = d.DialContext(c.ctx, "tcp4", net.JoinHostPort(to, crossfirePort)) })
		if err != nil {
			continue
		}
		c.send(conn.(*net.TCPConn))
	}
}

// send sends a few records. A connection that has lost its other end is given
// up soon, so that the next one can be made.
func (c *crossfire) send(conn *net.TCPConn) {
	defer conn.Close()
	for n := 0; n < 50 && c.pause(5*time.Millisecond); n++ {
		err := conn.SetWriteDeadline(time.Now().Add(impatience))
		if err == nil {
			_, err = conn.Write(record(n))
		}
		if err != nil {
			_ = conn.SetLinger(0) // nothing of it is waited for
			return
		}
	}
}

// record is record n of a stream.
func record(n int) []byte {
	p := make([]byte, recordSize)
	binary.BigEndian.PutUint64(p, uint64(n))
	copy(p[recordHeader:], content(n, recordSize-recordHeader))
	return p
}

// flows waits until datagrams and TCP arrive in both directions.
func (c *crossfire) flows() bool {
	now := func() (n [4]int64) {
		for i := range 2 {
			n[i], n[2+i] = c.datagrams[i].Load(), c.records[i].Load()
		}
		return n
	}
	before := now()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		n, all := now(), true
		for i := range n {
			all = all && n[i] > before[i]
		}
		if all {
			return true
		}
	}
	return false
}
