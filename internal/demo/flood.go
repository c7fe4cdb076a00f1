package demo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

const (
	// floodSize is the data of one datagram in bytes.
	floodSize = 64
	// silence after the last datagram was sent means that the rest is lost.
	silence = 300 * time.Millisecond
)

// floodResult counts datagrams. took is how long the sender sent.
type floodResult struct {
	sent, received uint64
	took           time.Duration
}

// flood sends small datagrams as fast as it can for the time d. UDP may lose
// some. It is an error if one arrives with wrong data, or if none arrives.
func flood(ctx context.Context, from, to *host, addr netip.Addr, d time.Duration) (f floodResult, err error) {
	var in, out *net.UDPConn
	err = to.In(func() (err error) {
		in, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		return err
	})
	if err != nil {
		return f, err
	}
	defer in.Close()
	err = from.In(func() (err error) {
		out, err = net.DialUDP("udp", nil, in.LocalAddr().(*net.UDPAddr))
		return err
	})
	if err != nil {
		return f, err
	}
	defer out.Close()
	defer context.AfterFunc(ctx, func() { in.Close(); out.Close() })()
	// The kernel may give less; then it drops more.
	if err := in.SetReadBuffer(8 << 20); err != nil {
		return f, err
	}

	counted := make(chan error, 1)
	go func() { counted <- count(in, &f.received) }()
	start := time.Now()
	var datagram [floodSize]byte
	for until := start.Add(d); time.Now().Before(until); f.sent++ {
		fill(&datagram, f.sent)
		if _, err = out.Write(datagram[:]); err != nil {
			break
		}
	}
	f.took = time.Since(start)
	if err == nil {
		err = in.SetReadDeadline(time.Now().Add(silence))
	}
	if err != nil {
		in.Close()
		<-counted
		return f, err
	}
	if err := <-counted; err != nil {
		return f, err
	}
	if f.received == 0 { // a very slow machine, or a failure
		if err := in.SetReadDeadline(time.Now().Add(answerTime)); err != nil {
			return f, err
		}
		if err := count(in, &f.received); err != nil {
			return f, err
		}
	}
	if f.received == 0 {
		return f, fmt.Errorf("none of %d datagrams to %v arrived", f.sent, addr)
	}
	return f, nil
}

// fill makes the datagram with that number. All its words differ, so that a
// part of another datagram is noticed.
func fill(datagram *[floodSize]byte, number uint64) {
	for i := 0; i < floodSize; i += 8 {
		binary.LittleEndian.PutUint64(datagram[i:], number+uint64(i)<<48)
	}
}

// count counts datagrams until the read deadline of in.
func count(in *net.UDPConn, received *uint64) error {
	buf := make([]byte, 2*floodSize)
	var want [floodSize]byte
	for {
		n, _, err := in.ReadFromUDPAddrPort(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
		if n == floodSize {
			fill(&want, binary.LittleEndian.Uint64(buf))
		}
		if n != floodSize || string(buf[:n]) != string(want[:]) {
			return fmt.Errorf("a datagram arrived with wrong data: %x", buf[:n])
		}
		*received++
	}
}
