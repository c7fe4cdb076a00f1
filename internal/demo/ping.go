package demo

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// answerTime is how long to wait for one answer: only a lost one takes so long.
const answerTime = 5 * time.Second

// pingResult is what the round trips of a ping took.
type pingResult struct {
	count         int
	min, sum, max time.Duration
}

// String tells it as ping does.
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
// after the other. An answer that does not come, or with other data, is an
// error.
func (h *host) ping(ctx context.Context, to netip.Addr, size, count int) (r pingResult, err error) {
	e := echo{network: "ip4:1", protocol: 1, request: ipv4.ICMPTypeEcho, reply: ipv4.ICMPTypeEchoReply}
	if to.Is6() {
		e = echo{network: "ip6:58", protocol: 58, request: ipv6.ICMPTypeEchoRequest, reply: ipv6.ICMPTypeEchoReply}
	}
	err = h.in(func() (err error) {
		e.conn, err = net.DialIP(e.network, nil, &net.IPAddr{IP: to.AsSlice()})
		return err
	})
	if err != nil {
		return r, err
	}
	defer e.conn.Close()
	defer context.AfterFunc(ctx, func() { e.conn.Close() })()

	e.buf = make([]byte, size+64)
	e.id = os.Getpid() & 0xffff
	data := make([]byte, size)
	for seq := range count {
		for i := range data {
			data[i] = byte(rand.Uint32())
		}
		took, err := e.roundTrip(seq, data)
		if err != nil {
			return r, fmt.Errorf("%v, %d bytes, request %d: %w", to, size, seq, err)
		}
		r.add(took)
	}
	return r, nil
}

// echo speaks one of the two ICMPs.
type echo struct {
	network        string
	protocol       int
	request, reply icmp.Type
	conn           *net.IPConn
	id             int
	buf            []byte
}

func (e *echo) roundTrip(seq int, data []byte) (time.Duration, error) {
	m := icmp.Message{Type: e.request, Body: &icmp.Echo{ID: e.id, Seq: seq, Data: data}}
	packet, err := m.Marshal(nil)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := e.conn.SetReadDeadline(start.Add(answerTime)); err != nil {
		return 0, err
	}
	if _, err := e.conn.Write(packet); err != nil {
		return 0, err
	}
	for {
		// Unlike Read, ReadFromIP takes the IPv4 header off.
		n, _, err := e.conn.ReadFromIP(e.buf)
		took := time.Since(start)
		if err != nil {
			return 0, err
		}
		answer, err := icmp.ParseMessage(e.protocol, e.buf[:n])
		if err != nil {
			return 0, err
		}
		body, ok := answer.Body.(*icmp.Echo)
		if !ok || answer.Type != e.reply || body.ID != e.id || body.Seq != seq {
			continue // neighbour discovery and the like come here too
		}
		if !bytes.Equal(body.Data, data) {
			return 0, fmt.Errorf("the answer has other data than the request")
		}
		return took, nil
	}
}
