package agent

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/muennet/muennet/internal/netlab"
	"golang.org/x/sys/unix"
)

const (
	echoPort = "7"    // RFC 862; the first process answers there
	markPort = "9007" // where listen receives
)

// alive makes each read of a connection extend its deadline.
type alive struct{ net.Conn }

func (c alive) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// stream sends Bytes or a little more over TCP to the echo service and compares
// length and checksum of what comes back.
func stream(t Task) (r Result, err error) {
	dialer := net.Dialer{Timeout: patience, Control: netlab.Marked(t.Mark)}
	conn, err := dialer.Dial("tcp", net.JoinHostPort(t.To, echoPort))
	if err != nil {
		return r, err
	}
	defer conn.Close()
	start := time.Now()
	var sent netlab.Sum
	sending := make(chan error, 1)
	go func() {
		var err error
		sent, err = netlab.Send(conn.(*net.TCPConn), func(sent int64) bool { return sent < t.Bytes })
		sending <- err
	}()
	got, err := netlab.Receive(alive{conn})
	took := time.Since(start)
	conn.Close() // ends the sender, if it is not done
	if e := <-sending; err == nil {
		err = e
	}
	if err != nil {
		return r, fmt.Errorf("after %d of %d bytes came back: %w", got.Bytes, t.Bytes, err)
	}
	if got != sent {
		return r, fmt.Errorf("%d bytes with checksum %08x were sent, %d with %08x came back", sent.Bytes, sent.CRC, got.Bytes, got.CRC)
	}
	return Result{Took: took}, nil
}

// datagrams sends Count datagrams of Size bytes to the echo service of UDP,
// each when the one before has come back.
func datagrams(t Task) (r Result, err error) {
	dialer := net.Dialer{Control: netlab.Marked(t.Mark)}
	conn, err := dialer.Dial("udp", net.JoinHostPort(t.To, echoPort))
	if err != nil {
		return r, err
	}
	defer conn.Close()
	data, buf := make([]byte, orDefault(t.Size, 64)), make([]byte, 1<<16)
	var trips []time.Duration
	start := time.Now()
	for i := range orDefault(t.Count, 1) {
		fillRandom(data)
		begun := time.Now()
		if err := conn.SetReadDeadline(begun.Add(patience)); err != nil {
			return r, err
		}
		if _, err := conn.Write(data); err != nil {
			return r, err
		}
		n, err := conn.Read(buf)
		if err != nil {
			return r, fmt.Errorf("datagram %d: %w", i, err)
		}
		trips = append(trips, time.Since(begun))
		if !bytes.Equal(buf[:n], data) {
			return r, fmt.Errorf("datagram %d came back with other data", i)
		}
	}
	return roundTrips(trips, time.Since(start)), nil
}

// flood sends datagrams as fast as it can, for Time. They need no receiver:
// Count says how many were sent.
func flood(t Task) (r Result, err error) {
	conn, err := net.Dial("udp", net.JoinHostPort(t.To, "9")) // discard, RFC 863
	if err != nil {
		return r, err
	}
	defer conn.Close()
	data := make([]byte, orDefault(t.Size, 1400))
	for until := time.Now().Add(t.Time); time.Now().Before(until); {
		if _, err := conn.Write(data); err == nil {
			r.Count++
		} else if !errors.Is(err, unix.ECONNREFUSED) { // the other end's answer to one before
			time.Sleep(time.Millisecond) // it may be away just now
		}
	}
	return r, nil
}

// receiver is the socket of listen.
var receiver atomic.Pointer[net.UDPConn]

// listen begins to receive datagrams, for marks to look at.
func listen(Task) (r Result, err error) {
	if old := receiver.Swap(nil); old != nil {
		old.Close()
	}
	addr, err := net.ResolveUDPAddr("udp", ":"+markPort)
	if err != nil {
		return r, err
	}
	conn, err := net.ListenUDP("udp", addr)
	if err != nil {
		return r, err
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		err = control(raw, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVMARK, 1) })
	}
	if err != nil {
		conn.Close()
		return r, err
	}
	receiver.Store(conn)
	return r, nil
}

func control(c syscall.RawConn, f func(fd int) error) (err error) {
	if e := c.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}

// send sends Count datagrams with Mark to where To listens.
func send(t Task) (r Result, err error) {
	dialer := net.Dialer{Control: netlab.Marked(t.Mark)}
	conn, err := dialer.Dial("udp", net.JoinHostPort(t.To, markPort))
	if err != nil {
		return r, err
	}
	defer conn.Close()
	data := make([]byte, orDefault(t.Size, 64))
	for range orDefault(t.Count, 1) {
		binary.LittleEndian.PutUint64(data, rand.Uint64())
		if _, err := conn.Write(data); err != nil {
			return r, err
		}
		r.Count++
	}
	return r, nil
}

// marks returns the Netfilter marks of the next Count datagrams since listen,
// and ends listening.
func marks(t Task) (r Result, err error) {
	conn := receiver.Swap(nil)
	if conn == nil {
		return r, errors.New("nothing listens")
	}
	defer conn.Close()
	data, oob := make([]byte, 1<<16), make([]byte, 256)
	for range orDefault(t.Count, 1) {
		if err := conn.SetReadDeadline(time.Now().Add(orDefault(t.Time, patience))); err != nil {
			return r, err
		}
		_, n, _, _, err := conn.ReadMsgUDP(data, oob)
		if err != nil {
			return r, fmt.Errorf("after %d datagrams: %w", len(r.Marks), err)
		}
		mark, err := markOf(oob[:n])
		if err != nil {
			return r, err
		}
		r.Marks = append(r.Marks, mark)
	}
	return r, nil
}

// markOf finds the mark in control messages. The kernel leaves out a mark of 0.
func markOf(oob []byte) (uint32, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0, err
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_MARK && len(m.Data) >= 4 {
			return binary.NativeEndian.Uint32(m.Data), nil
		}
	}
	return 0, nil
}
