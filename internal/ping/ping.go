// Package ping sends ICMP (RFC 792) and ICMPv6 (RFC 4443 section 4) echo
// requests and waits for the replies. It is for programs that show or test that
// a link works; package packet handles the packets that muennet carries.
//
// The caller dials, which needs CAP_NET_RAW, and so chooses namespace and
// socket options:
//
//	conn, err := net.DialIP(ping.Network(to), nil, &net.IPAddr{IP: to.AsSlice()})
//	if err != nil {
//		return err
//	}
//	defer conn.Close()
//	took, err := ping.New(conn, to).RoundTrip(1, data, time.Second)
//
// A Pinger belongs to one goroutine. Packets from the network are not trusted:
// each is a reply, ignored, or an error.
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

// Network returns the network to dial for echo requests to an address, in the
// format of net.Dial.
func Network(to netip.Addr) string {
	if to.Is6() {
		return "ip6:58"
	}
	return "ip4:1"
}

// Pinger sends echo requests of ICMP or ICMPv6.
type Pinger struct {
	conn           *net.IPConn
	protocol       int
	request, reply icmp.Type
	id             int
	buf            []byte
}

// New returns a Pinger that uses conn, a connection to the address. The caller
// closes conn.
func New(conn *net.IPConn, to netip.Addr) *Pinger {
	p := &Pinger{conn: conn, protocol: 1, request: ipv4.ICMPTypeEcho, reply: ipv4.ICMPTypeEchoReply}
	if to.Is6() {
		p.protocol, p.request, p.reply = 58, ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	p.id = int(rand.Uint32() & 0xffff)
	return p
}

// RoundTrip sends one request with sequence number seq, 0 to 65535, and data.
// It returns the time until the reply arrives. If none arrives within limit,
// the error wraps os.ErrDeadlineExceeded.
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
		// Unlike Read, ReadFromIP strips the IPv4 header.
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
			continue // replies to others, neighbour discovery and so on
		}
		if !bytes.Equal(body.Data, data) {
			return 0, errors.New("the data in the reply differs from the request")
		}
		return took, nil
	}
}
