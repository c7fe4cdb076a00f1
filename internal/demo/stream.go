package demo

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"
)

// sum is what one end of a stream makes of it.
type sum struct {
	bytes int64
	crc   uint32
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Write adds p.
func (s *sum) Write(p []byte) (int, error) {
	s.bytes += int64(len(p))
	s.crc = crc32.Update(s.crc, castagnoli, p)
	return len(p), nil
}

// stream sends over TCP for as long as d says and compares what arrives with
// what was sent. took runs from the first byte to the last one's arrival.
func stream(ctx context.Context, from, to *host, addr netip.Addr, d time.Duration) (bytes int64, took time.Duration, err error) {
	var listener *net.TCPListener
	err = to.in(func() (err error) {
		listener, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { listener.Close() })()

	var got sum
	received := make(chan error, 1)
	go func() { received <- receive(ctx, listener, &got) }()

	var conn *net.TCPConn
	err = from.in(func() (err error) {
		conn, err = net.DialTCP("tcp", nil, listener.Addr().(*net.TCPAddr))
		return err
	})
	if err != nil {
		listener.Close()
		<-received
		return 0, 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	start := time.Now()
	sent, err := send(conn, start.Add(d))
	if err != nil {
		conn.Close()
		<-received
		return 0, 0, err
	}
	if err := <-received; err != nil {
		return 0, 0, err
	}
	if got != sent {
		return 0, 0, fmt.Errorf("%v: %d bytes with checksum %08x were sent, %d with %08x arrived",
			addr, sent.bytes, sent.crc, got.bytes, got.crc)
	}
	return got.bytes, time.Since(start), nil
}

// send writes blocks, no two alike, until the time is over.
func send(conn *net.TCPConn, until time.Time) (sent sum, err error) {
	block := make([]byte, 256<<10)
	for i := 0; i < len(block); i += 8 {
		binary.LittleEndian.PutUint64(block[i:], rand.Uint64())
	}
	for n := uint64(0); time.Now().Before(until); n++ {
		binary.LittleEndian.PutUint64(block, n)
		if _, err := conn.Write(block); err != nil {
			return sent, err
		}
		sent.Write(block)
	}
	return sent, conn.CloseWrite()
}

// receive takes one connection and reads it to the end.
func receive(ctx context.Context, listener *net.TCPListener, got *sum) error {
	conn, err := listener.AcceptTCP()
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	// CopyBuffer uses the buffer only where the connection's own WriteTo,
	// whose buffer is small, is out of sight.
	_, err = io.CopyBuffer(got, struct{ io.Reader }{conn}, make([]byte, 256<<10))
	return err
}
