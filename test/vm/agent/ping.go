package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/muennet/muennet/internal/netlab"
	"github.com/muennet/muennet/internal/ping"
)

// patience bounds each wait. It is reached only when something is broken: a
// virtual machine without hardware support is slow.
const patience = 30 * time.Second

// pings sends Count echo requests of Size bytes of data, one after the other.
// Each must be answered.
func pings(t Task) (r Result, err error) {
	e, err := newEcho(t)
	if err != nil {
		return r, err
	}
	defer e.conn.Close()
	start := time.Now()
	var trips []time.Duration
	for seq := range orDefault(t.Count, 1) {
		took, err := e.roundTrip(seq, patience)
		if err != nil {
			return r, fmt.Errorf("request %d of %d bytes to %s: %w", seq, t.Size, t.To, err)
		}
		trips = append(trips, took)
	}
	return roundTrips(trips, time.Since(start)), nil
}

// roundTrips makes a Result of times.
func roundTrips(trips []time.Duration, took time.Duration) Result {
	slices.Sort(trips)
	return Result{Count: len(trips), Took: took, Least: trips[0], Median: trips[len(trips)/2], Most: trips[len(trips)-1]}
}

// reach sends echo requests until one is answered, for Time at most.
func reach(t Task) (r Result, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), orDefault(t.Time, patience))
	defer cancel()
	start := time.Now()
	err = netlab.Until(ctx, func() error {
		// Opening the socket can fail too: no route while an interface is down.
		e, err := newEcho(t)
		if err != nil {
			return err
		}
		defer e.conn.Close()
		_, err = e.roundTrip(0, 100*time.Millisecond)
		return err
	})
	if err != nil {
		return r, fmt.Errorf("no answer from %s in %v: %w", t.To, time.Since(start).Round(time.Millisecond), err)
	}
	return Result{Count: 1, Took: time.Since(start)}, nil
}

// echo sends requests with random data to one address.
type echo struct {
	conn   *net.IPConn
	pinger *ping.Pinger
	data   []byte
}

func newEcho(t Task) (*echo, error) {
	addr, err := netip.ParseAddr(t.To)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Control: netlab.Marked(t.Mark)}
	conn, err := dialer.Dial(ping.Network(addr), t.To)
	if err != nil {
		return nil, err
	}
	e := &echo{conn: conn.(*net.IPConn), data: make([]byte, t.Size)}
	e.pinger = ping.New(e.conn, addr)
	return e, nil
}

func (e *echo) roundTrip(seq int, limit time.Duration) (time.Duration, error) {
	fillRandom(e.data)
	took, err := e.pinger.RoundTrip(seq, e.data, limit)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, fmt.Errorf("no answer within %v", limit)
	}
	return took, err
}

func fillRandom(p []byte) {
	for i := range p {
		p[i] = byte(rand.Uint32())
	}
}
