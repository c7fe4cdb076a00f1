package traffic

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// silence is how long nothing must arrive after the window for the rest of the
// flood to count as lost.
const silence = 300 * time.Millisecond

func floodSink(job Job, parent parent) (Result, error) {
	fd, err := bind(unix.SOCK_DGRAM, job.Addr)
	if err != nil {
		return Result{}, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer); err != nil {
		return Result{}, fmt.Errorf("set receive buffer: %w", err)
	}
	w, err := parent.ready()
	if err != nil {
		return Result{}, err
	}
	seen := make(counters, 1)
	done := make(chan error, 1)
	go func() { done <- count(fd, &seen[0]) }()
	result := seen.keep(w)
	for before := uint64(0); before != seen.sum(); {
		before = seen.sum()
		time.Sleep(silence)
	}
	select {
	case err := <-done:
		return Result{}, err
	default:
	}
	if result.Total = seen.sum(); result.Total == 0 {
		return Result{}, errors.New("no datagram arrived")
	}
	return result, nil
}

// count counts datagrams. It returns only when the socket fails.
func count(fd int, seen *counter) error {
	var buf [DatagramSize + 1]byte
	for {
		n, err := read(fd, buf[:])
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if n != DatagramSize {
			return fmt.Errorf("a datagram of %d bytes arrived", n)
		}
		seen.n.Add(1)
	}
}

func floodSource(job Job, parent parent) (Result, error) {
	fd, err := connect(unix.SOCK_DGRAM, job.Addr)
	if err != nil {
		return Result{}, err
	}
	w, err := parent.ready()
	if err != nil {
		return Result{}, err
	}
	seen := make(counters, 1)
	done := make(chan error, 1)
	go func() { done <- pour(fd, w, &seen[0]) }()
	result := seen.keep(w)
	if err := <-done; err != nil {
		return Result{}, err
	}
	result.Total = seen.sum()
	return result, nil
}

// pour sends datagrams, one per call, until the window ends.
func pour(fd int, w Window, seen *counter) error {
	var buf [DatagramSize]byte
	for Now() < w.To {
		_, err := unix.Write(fd, buf[:])
		switch err {
		case nil:
			seen.n.Add(1)
		case unix.ENOBUFS, unix.EINTR: // not sent
		default:
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}
