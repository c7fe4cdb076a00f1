package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/muennet/muennet/internal/ping"
)

// answerTime is how long to wait for a reply. Only a lost one takes that long.
const answerTime = 5 * time.Second

// pingResult sums up the round trips of a ping.
type pingResult struct {
	count         int
	min, sum, max time.Duration
}

// String formats the result as ping(8) does.
func (r pingResult) String() string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("%d of %d answered, min/avg/max %.3f/%.3f/%.3f ms", r.count, r.count,
		ms(r.min), ms(r.sum)/float64(r.count), ms(r.max))
}

func (r *pingResult) add(d time.Duration) {
	if r.count == 0 || d < r.min {
		r.min = d
	}
	r.max = max(r.max, d)
	r.sum += d
	r.count++
}

// ping sends count ICMP or ICMPv6 echo requests with size bytes of data, one
// after the other. A missing reply, or one with other data, is an error.
func (h *host) ping(ctx context.Context, to netip.Addr, size, count int) (r pingResult, err error) {
	var conn *net.IPConn
	err = h.In(func() (err error) {
		conn, err = net.DialIP(ping.Network(to), nil, &net.IPAddr{IP: to.AsSlice()})
		return err
	})
	if err != nil {
		return r, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	pinger := ping.New(conn, to)
	data := make([]byte, size)
	for seq := range count {
		for i := range data {
			data[i] = byte(rand.Uint32())
		}
		took, err := pinger.RoundTrip(seq, data, answerTime)
		if err != nil {
			return r, fmt.Errorf("%v, %d bytes, request %d: %w", to, size, seq, err)
		}
		r.add(took)
	}
	return r, nil
}
