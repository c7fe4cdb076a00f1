package demo

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/muennet/muennet/internal/netlab"
)

// stream sends over TCP for the time d and compares what arrives with what was
// sent. took is the time from the first byte sent to the last one received.
func stream(ctx context.Context, from, to *host, addr netip.Addr, d time.Duration) (bytes int64, took time.Duration, err error) {
	var listener *net.TCPListener
	err = to.In(func() (err error) {
		listener, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { listener.Close() })()

	var got netlab.Sum
	received := make(chan error, 1)
	go func() {
		var err error
		got, err = receive(ctx, listener)
		received <- err
	}()

	var conn *net.TCPConn
	err = from.In(func() (err error) {
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
	sent, err := netlab.Send(conn, func(int64) bool { return time.Since(start) < d })
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
			addr, sent.Bytes, sent.CRC, got.Bytes, got.CRC)
	}
	return got.Bytes, time.Since(start), nil
}

// receive takes one connection and reads it to the end.
func receive(ctx context.Context, listener *net.TCPListener) (got netlab.Sum, err error) {
	conn, err := listener.AcceptTCP()
	if err != nil {
		return got, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	return netlab.Receive(conn)
}
