package agent

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	echoPort = "7"    // RFC 862; the first process answers there
	markPort = "9007" // where listen receives
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is what one end of a stream makes of it.
type sum struct {
	bytes int64
	crc   uint32
}

func (s *sum) Write(p []byte) (int, error) {
	s.bytes += int64(len(p))
	s.crc = crc32.Update(s.crc, castagnoli, p)
	return len(p), nil
}

// stream sends Bytes over TCP to the echo service and compares length and
// checksum of what comes back.
func stream(t Task) (r Result, err error) {
	dialer := net.Dialer{Timeout: patience, Control: marked(t.Mark)}
	conn, err := dialer.Dial("tcp", net.JoinHostPort(t.To, echoPort))
	if err != nil {
		return r, err
	}
	defer conn.Close()
	// Each byte that arrives gives more time.
	alive := time.AfterFunc(patience, func() { conn.Close() })
	defer alive.Stop()

	start := time.Now()
	var sent sum
	sending := make(chan error, 1)
	go func() { sending <- sendStream(conn.(*net.TCPConn), t.Bytes, &sent) }()
	var got sum
	buf := make([]byte, 256<<10)
	for err == nil {
		var n int
		n, err = conn.Read(buf)
		alive.Reset(patience)
		got.Write(buf[:n])
	}
	if err == io.EOF {
		err = nil
	}
	took := time.Since(start)
	conn.Close() // ends the sender, if it is not done
	if e := <-sending; err == nil {
		err = e
	}
	if err != nil {
		return r, fmt.Errorf("after %d of %d bytes came back: %w", got.bytes, t.Bytes, err)
	}
	if got != sent {
		return r, fmt.Errorf("%d bytes with checksum %08x were sent, %d with %08x came back", sent.bytes, sent.crc, got.bytes, got.crc)
	}
	return Result{Took: took}, nil
}

// sendStream sends blocks, no two alike.
func sendStream(conn *net.TCPConn, left int64, sent *sum) error {
	block := make([]byte, 64<<10)
	fillRandom(block)
	for n := uint64(0); left > 0; n++ {
		binary.LittleEndian.PutUint64(block, n)
		p := block[:min(int64(len(block)), left)]
		if _, err := conn.Write(p); err != nil {
			return err
		}
		sent.Write(p)
		left -= int64(len(p))
	}
	return conn.CloseWrite()
}

// datagrams sends Count datagrams of Size bytes to the echo service of UDP, each
// when the one before has come back.
func datagrams(t Task) (r Result, err error) {
	dialer := net.Dialer{Control: marked(t.Mark)}
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

// flood sends datagrams as fast as it can, for Time. Nobody need listen: Count
// says how many were sent.
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
	dialer := net.Dialer{Control: marked(t.Mark)}
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

// marks returns the Netfilter marks of the next Count datagrams since listen, and
// ends listening.
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
