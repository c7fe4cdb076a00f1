package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/ping"
	"github.com/muennet/muennet/internal/testnet"
)

// noise is the source of contents. No two places of it are alike, so a packet
// that is shifted, cut, stale or mixed up does not compare equal.
var noise = func() []byte {
	b := make([]byte, 1<<20)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(b) // never fails
	return b
}()

// content returns n bytes, n at most 64 KiB, that differ for each number. The
// caller must not change them.
func content(number, n int) []byte {
	const step = 1031 // a prime, so that all offsets are used
	at := number * step % (len(noise) - 1<<16)
	return noise[at : at+n]
}

// pinger sends echo requests from within a host.
type pinger struct {
	t    *testing.T
	to   string
	ping *ping.Pinger
	seq  int
}

// newPinger opens the pinger, until the test ends.
func newPinger(t *testing.T, h *host, from, to string) *pinger {
	t.Helper()
	addr := netip.MustParseAddr(to)
	var conn *net.IPConn
	h.Do(func() {
		var err error
		conn, err = net.DialIP(ping.Network(addr), &net.IPAddr{IP: net.ParseIP(from)}, &net.IPAddr{IP: net.ParseIP(to)})
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { conn.Close() })
	return &pinger{t: t, to: to, ping: ping.New(conn, addr)}
}

// echo sends one request with this payload and waits for the reply, in which
// every byte must be the same.
func (p *pinger) echo(payload []byte) {
	p.t.Helper()
	p.seq = (p.seq + 1) & 0xffff
	if _, err := p.ping.RoundTrip(p.seq, payload, patience); err != nil {
		p.t.Fatalf("ping %s with %d bytes: %v", p.to, len(payload), err)
	}
}

// sweep pings with every payload size from..to.
func (p *pinger) sweep(from, to int) {
	p.t.Helper()
	for size := from; size <= to; size++ {
		p.echo(content(size, size))
	}
}

// listenTCP listens within the host until the test ends.
func listenTCP(t *testing.T, h *host, addr string) net.Listener {
	t.Helper()
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	var l net.Listener
	h.Do(func() {
		var err error
		if l, err = config.Listen(context.Background(), "tcp", net.JoinHostPort(addr, "0")); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { l.Close() })
	return l
}

// connect makes a TCP connection between two hosts: the ends in from and in to,
// open until the test ends.
func connect(t *testing.T, from, to *host, addr string) (client, server *net.TCPConn) {
	t.Helper()
	l := listenTCP(t, to, addr)
	defer l.Close()
	return connectMarked(t, from, l, 0)
}

// A stream is a sequence of records: the record's number, then content of that
// number. So the receiver knows every byte, and notices one that is missing,
// repeated or misplaced.
const (
	recordSize   = 32 << 10
	recordHeader = 8
)

// sendStream sends records while more says so, then ends the stream.
func sendStream(c *net.TCPConn, more func(sent int) bool) (records int, err error) {
	record := make([]byte, recordSize)
	for ; more(records); records++ {
		binary.BigEndian.PutUint64(record, uint64(records))
		copy(record[recordHeader:], content(records, recordSize-recordHeader))
		if err := c.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			return records, err
		}
		if _, err := c.Write(record); err != nil {
			return records, fmt.Errorf("send record %d: %w", records, err)
		}
	}
	return records, c.CloseWrite()
}

// receiveStream reads and checks records until the stream ends.
func receiveStream(c *net.TCPConn) (records int, err error) {
	record := make([]byte, recordSize)
	for ; ; records++ {
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return records, err
		}
		n, err := io.ReadFull(c, record)
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return records, fmt.Errorf("receive record %d: after %d bytes: %w", records, n, err)
		}
		if got := binary.BigEndian.Uint64(record); got != uint64(records) {
			return records, fmt.Errorf("record %d begins with number %#x", records, got)
		}
		want := content(records, recordSize-recordHeader)
		if got := record[recordHeader:]; !bytes.Equal(got, want) {
			at := 0
			for got[at] == want[at] {
				at++
			}
			return records, fmt.Errorf("record %d is wrong from byte %d on", records, recordHeader+at)
		}
	}
}

// stream sends a stream over a connection and checks it at the other end. It
// does not use testing, so any goroutine may call it.
func stream(from, to *net.TCPConn, more func(sent int) bool) (records int, err error) {
	type end struct {
		records int
		err     error
	}
	sent := make(chan end, 1)
	go func() {
		n, err := sendStream(from, more)
		if err != nil {
			from.Close() // or the receiver waits for the rest
		}
		sent <- end{n, err}
	}()
	received, err := receiveStream(to)
	if err != nil {
		to.Close() // or the sender waits for room
	}
	s := <-sent
	if err = errors.Join(err, s.err); err == nil && s.records != received {
		err = fmt.Errorf("%d records sent, %d received", s.records, received)
	}
	return received, err
}

// listenUDP opens a UDP socket within the host, until the test ends.
func listenUDP(t *testing.T, h *host, addr string) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	h.Do(func() {
		var err error
		if c, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(addr)}); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// datagrams sends datagrams of these sizes one after the other; each must
// arrive, with every byte.
func datagrams(t *testing.T, from, to *net.UDPConn, sizes ...int) {
	t.Helper()
	buf := make([]byte, 1<<16)
	for i, size := range sizes {
		want := content(i, size)
		if _, err := from.WriteTo(want, to.LocalAddr()); err != nil {
			t.Fatalf("send datagram of %d bytes: %v", size, err)
		}
		receiveDatagram(t, to, buf, from.LocalAddr(), want)
	}
}

// receiveDatagram reads one datagram, which must be this one.
func receiveDatagram(t *testing.T, c *net.UDPConn, buf []byte, from net.Addr, want []byte) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	n, sender, err := c.ReadFrom(buf)
	if err != nil {
		t.Fatalf("datagram of %d bytes to %v is lost: %v", len(want), c.LocalAddr(), err)
	}
	if sender.String() != from.String() || !bytes.Equal(buf[:n], want) {
		t.Fatalf("%d bytes from %v: %x\nwant %d bytes from %v: %x", n, sender, buf[:n], len(want), from, want)
	}
}

// exchange sends packets and expects them in order and byte for byte as want
// changes them. It keeps few of them in flight, so that no full ring drops one.
func exchange(t *testing.T, from, to *testnet.PacketSocket, packets [][]byte, want func(sent []byte) []byte) {
	t.Helper()
	const window = 32
	received := 0
	receive := func(until int) {
		for ; received < until; received++ {
			sent := packets[received]
			got, err := to.Recv(patience)
			if err != nil {
				t.Fatalf("packet of %d bytes is lost: %v", len(sent), err)
			}
			if w := want(sent); !bytes.Equal(got, w) {
				t.Fatalf("packet of %d bytes arrived as %d bytes\n%x\nwant %d bytes\n%x", len(sent), len(got), got, len(w), w)
			}
		}
	}
	for i, p := range packets {
		receive(i - window)
		if err := from.Send(p); err != nil {
			t.Fatalf("send packet of %d bytes: %v", len(p), err)
		}
	}
	receive(len(packets))
}

// same is the want of exchange for packets that arrive unchanged.
func same(p []byte) []byte { return p }

// sizes lists every number from..to.
func sizes(from, to int) (all []int) {
	for n := from; n <= to; n++ {
		all = append(all, n)
	}
	return all
}
