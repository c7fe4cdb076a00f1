package traffic

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// block is the bytes of one read or write of a stream.
const block = 128 << 10

func streamSink(job Job, parent parent) (Result, error) {
	listener, err := listen(job.Addr)
	if err != nil {
		return Result{}, err
	}
	seen := make(counters, job.Streams)
	done := make(chan error, job.Streams)
	go func() {
		for i := range job.Streams {
			fd, err := accept(listener)
			if err != nil {
				done <- err
				return
			}
			go func() { done <- drain(fd, &seen[i]) }()
		}
	}()
	w, err := parent.ready()
	if err != nil {
		return Result{}, err
	}
	result := seen.keep(w)
	for range job.Streams {
		if err := <-done; err != nil {
			return Result{}, err
		}
	}
	result.Total = seen.sum()
	return result, nil
}

// drain reads a connection to its end, and closes it: then the source knows
// that everything has arrived.
func drain(fd int, seen *counter) error {
	buf := make([]byte, block)
	for {
		n, err := read(fd, buf)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if n == 0 {
			return unix.Close(fd)
		}
		seen.n.Add(uint64(n))
	}
}

func streamSource(job Job, parent parent) (Result, error) {
	fds := make([]int, job.Streams)
	for i := range fds {
		var err error
		if fds[i], err = connect(unix.SOCK_STREAM, job.Addr); err != nil {
			return Result{}, err
		}
	}
	w, err := parent.ready()
	if err != nil {
		return Result{}, err
	}
	seen := make(counters, job.Streams)
	done := make(chan error, job.Streams)
	for i, fd := range fds {
		go func() { done <- fill(fd, w, &seen[i]) }()
	}
	result := seen.keep(w)
	for range fds {
		if err := <-done; err != nil {
			return Result{}, err
		}
	}
	result.Total = seen.sum()
	return result, nil
}

// fill writes until the window ends, and waits until the sink has it all.
func fill(fd int, w Window, seen *counter) error {
	buf := make([]byte, block)
	for Now() < w.To {
		if err := writeAll(fd, buf); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		seen.n.Add(block)
	}
	if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	n, err := read(fd, buf)
	if err == nil && n != 0 {
		err = errors.New("the sink talks")
	}
	if err != nil {
		return fmt.Errorf("wait for the sink: %w", err)
	}
	return nil
}
