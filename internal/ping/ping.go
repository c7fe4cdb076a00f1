// Package ping sends echo requests of ICMP (RFC 792) and ICMPv6 (RFC 4443
// section 4) and waits for the answers. It is for programs that show or try that
// a link works, not for the packets that muennet carries: those are package
// packet's.
//
// The caller dials, so that it decides on namespace and socket options, which
// needs CAP_NET_RAW:
//
//	conn, err := net.DialIP(ping.Network(to), nil, &net.IPAddr{IP: to.AsSlice()})
//	if err != nil {
//		return err
//	}
//	defer conn.Close()
//	took, err := ping.New(conn, to).RoundTrip(1, data, time.Second)
//
// A Pinger is for one goroutine. What comes from the network is not trusted: it
// is an answer, or passed over, or an error.
package ping

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// Network is what to dial for echo requests to an address, as net.Dial takes it.
func Network(to netip.Addr) string {
	if to.Is6() {
		return "ip6:58"
	}
	return "ip4:1"
}

// Pinger speaks one of the two ICMPs.
type Pinger struct {
	conn           *net.IPConn
	protocol       int
	request, reply icmp.Type
	id             int
	buf            []byte
}

// New returns a Pinger over a connection to an address, which stays the caller's.
func New(conn *net.IPConn, to netip.Addr) *Pinger {
	p := &Pinger{conn: conn, protocol: 1, request: ipv4.ICMPTypeEcho, reply: ipv4.ICMPTypeEchoReply}
	if to.Is6() {
		p.protocol, p.request, p.reply = 58, ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	p.id = int(rand.Uint32() & 0xffff)
	return p
}

// RoundTrip sends one request with a number, 0 to 65535, and data, and returns
// how long its answer took. The error is os.ErrDeadlineExceeded, wrapped, when
// none came within the limit.
func (p *Pinger) RoundTrip(seq int, data []byte, limit time.Duration) (time.Duration, error) {
	m := icmp.Message{Type: p.request, Body: &icmp.Echo{ID: p.id, Seq: seq, Data: data}}
	packet, err := m.Marshal(nil)
	if err != nil {
		return 0, err
	}
	if len(p.buf) < len(data)+64 {
		p.buf = make([]byte, len(data)+64)
	}
	start := time.Now()
	if err := p.conn.SetReadDeadline(start.Add(limit)); err != nil {
		return 0, err
	}
	if _, err := p.conn.Write(packet); err != nil {
		return 0, err
	}
	for {
		// Unlike Read, ReadFromIP takes the IPv4 header off.
		n, _, err := p.conn.ReadFromIP(p.buf)
		took := time.Since(start)
		if err != nil {
			return 0, err
		}
		answer, err := icmp.ParseMessage(p.protocol, p.buf[:n])
		if err != nil {
			return 0, err
		}
		body, ok := answer.Body.(*icmp.Echo)
		if !ok || answer.Type != p.reply || body.ID != p.id || body.Seq != seq {
			continue // others' answers, neighbour discovery and the like come here too
		}
		if !bytes.Equal(body.Data, data) {
			return 0, errors.New("the answer has other data than the request")
		}
		return took, nil
	}
}
