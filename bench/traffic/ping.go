package traffic

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

func echo(job Job, parent parent) (Result, error) {
	listener, err := listen(job.Addr)
	if err != nil {
		return Result{}, err
	}
	if _, err := parent.ready(); err != nil {
		return Result{}, err
	}
	fd, err := accept(listener)
	if err != nil {
		return Result{}, err
	}
	if err := setNoDelay(fd); err != nil {
		return Result{}, err
	}
	var result Result
	var buf [RequestSize]byte
	for {
		n, err := readAll(fd, buf[:])
		if err != nil {
			return Result{}, fmt.Errorf("read: %w", err)
		}
		if n < len(buf) {
			return result, nil
		}
		if err := writeAll(fd, buf[:]); err != nil {
			return Result{}, fmt.Errorf("write: %w", err)
		}
		result.Total++
	}
}

func ping(job Job, parent parent) (Result, error) {
	fd, err := connect(unix.SOCK_STREAM, job.Addr)
	if err != nil {
		return Result{}, err
	}
	if err := setNoDelay(fd); err != nil {
		return Result{}, err
	}
	w, err := parent.ready()
	if err != nil {
		return Result{}, err
	}
	var result Result
	var buf [RequestSize]byte
	took := make([]time.Duration, 0, 1<<20)
	for {
		start := Now()
		if start >= w.To {
			break
		}
		if err := writeAll(fd, buf[:]); err != nil {
			return Result{}, fmt.Errorf("write: %w", err)
		}
		n, err := readAll(fd, buf[:])
		if err == nil && n < len(buf) {
			err = errors.New("the connection ended")
		}
		if err != nil {
			return Result{}, fmt.Errorf("read: %w", err)
		}
		result.Total++
		// One that takes longer than the window must not be overlooked.
		if end := Now(); end >= w.From {
			took = append(took, time.Duration(end-start))
		}
	}
	// The last answer may come long after the window.
	result.Took = time.Duration(Now() - w.From)
	result.Units = uint64(len(took))
	if len(took) == 0 {
		return Result{}, errors.New("the window was over before it began")
	}
	slices.Sort(took)
	result.P50, result.P99 = quantile(took, 0.50), quantile(took, 0.99)
	return result, unix.Close(fd)
}

// quantile is the value that the share q of the sorted values comes before.
func quantile(sorted []time.Duration, q float64) time.Duration {
	i := int(q * float64(len(sorted)))
	return sorted[min(i, len(sorted)-1)]
}
