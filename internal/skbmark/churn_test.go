package skbmark_test

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/skbmark"
	"github.com/muennet/muennet/internal/testnet"
)

// Senders on all processors keep using new marks, while queues are retired,
// drained and released as fast as possible. No packet may have another mark
// than its queue, and every packet must be accounted for.
func TestNoWrongMarkWhileQueuesAreReused(t *testing.T) {
	const (
		queues      = 16
		senders     = 4
		minPackets  = 100_000
		minReleases = 100
	)
	ns := namespace(t)
	d := openDevice(t, ns, "t0", queues)
	o := outgoing(t, d)

	var sent, released atomic.Uint64
	stop := make(chan struct{})
	fail := make(chan error, senders+2)
	retired := make(chan []int)
	var work sync.WaitGroup
	for i := range uint32(senders) {
		s := newSender(t, ns)
		work.Go(func() {
			for n := uint32(0); !isClosed(stop); n++ {
				// Two marks at a time, shared by all senders,
				// and one for each sender; all fall out of use
				// after a while.
				mark := 1 + n/8000*8 + n%2
				if n%3 == 0 {
					mark += 4 + i
				}
				if err := s.send(mark); err != nil {
					fail <- err
					return
				}
				sent.Add(1)
			}
		})
	}
	work.Go(func() { // not the goroutine of the reader
		defer close(retired)
		for !isClosed(stop) {
			queues := o.Retire()
			if err := skbmark.Grace(); err != nil {
				fail <- err
				return
			}
			select {
			case retired <- queues:
			case <-stop:
			}
		}
	})
	received := uint64(0)
	readSome := func(limit int) error {
		for q := range queues {
			n, err := take(d, o, q, limit)
			received += uint64(n)
			if err != nil {
				return err
			}
		}
		return nil
	}
	work.Go(func() { // the reader
		for {
			select {
			case idle, ok := <-retired:
				if !ok {
					return
				}
				for _, q := range idle {
					n, err := drain(d, o, q)
					received += uint64(n)
					if err != nil {
						fail <- err
						return
					}
					o.Release(q)
					released.Add(1)
				}
			default:
				// Slowly, so that idle queues are not empty.
				if err := readSome(1); err != nil {
					fail <- err
					return
				}
			}
		}
	})

	err := until(fail, func() bool { return sent.Load() >= minPackets && released.Load() >= minReleases })
	close(stop)
	work.Wait()
	if err == nil {
		err = readSome(math.MaxInt)
	}
	if err != nil {
		t.Fatal(err)
	}
	lost := dropped(t, ns, "t0") // including those that found their queue full
	t.Logf("%d sent, %d received, %d overflows, %d mismatches, %d dropped in all, %d queues released",
		sent.Load(), received, o.Overflows(), o.Mismatches(), lost, released.Load())
	if received+lost != sent.Load() {
		t.Errorf("%d packets received and %d dropped, want %d", received, lost, sent.Load())
	}
	if received == 0 || o.Overflows()+o.Mismatches() > lost {
		t.Errorf("%d packets received, %d overflows and %d mismatches of %d dropped",
			received, o.Overflows(), o.Mismatches(), lost)
	}
}

// Packets waiting in a qdisc meet slots that have changed hands.
func TestNoWrongMarkBehindSlowQdisc(t *testing.T) {
	const queues, rounds, perRound = 8, 40, 100
	ns := namespace(t)
	testnet.Need(t, "tc")
	d := openDevice(t, ns, "t0", queues)
	o := outgoing(t, d)
	ns.MustRun("tc", "qdisc", "add", "dev", "t0", "root", "tbf", "rate", "2mbit", "burst", "2000", "limit", "10mb")
	s := newSender(t, ns)
	received, reused := 0, 0
	for round := range uint32(rounds) {
		for i := range uint32(perRound) {
			mustSend(t, s, 1+(round+i/20)%(2*queues))
		}
		retired := o.Retire()
		if err := skbmark.Grace(); err != nil {
			t.Fatal(err)
		}
		for q := range queues {
			n, err := drain(d, o, q)
			if err != nil {
				t.Fatal(err)
			}
			received += n
		}
		for _, q := range retired {
			o.Release(q)
			reused++
		}
	}
	// The rest leaves gradually; the counters say when all have left.
	deadline := time.Now().Add(testnet.Patience)
	total := func() uint64 { return uint64(received) + o.Overflows() + o.Mismatches() }
	for total() < rounds*perRound && time.Now().Before(deadline) {
		for _, n := range drainAll(t, d, o) {
			received += n
		}
	}
	t.Logf("%d received, %d overflows, %d mismatches, %d queues reused", received, o.Overflows(), o.Mismatches(), reused)
	if total() != rounds*perRound || reused == 0 {
		t.Errorf("%d packets received, %d overflows, %d mismatches; want %d in all; %d queues reused",
			received, o.Overflows(), o.Mismatches(), rounds*perRound, reused)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// until waits until done returns true, or for an error.
func until(fail <-chan error, done func() bool) error {
	deadline := time.After(testnet.Patience)
	for !done() {
		select {
		case err := <-fail:
			return err
		case <-deadline:
			return errors.New("timed out")
		case <-time.After(time.Millisecond):
		}
	}
	select {
	case err := <-fail:
		return fmt.Errorf("at the end: %w", err)
	default:
		return nil
	}
}
