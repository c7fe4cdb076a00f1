package daemon

import (
	"log/slog"
	"net"
	"sync"
	"time"
)

// Bounds of the connections that are open at once. One more is closed as soon as
// it is accepted.
const (
	maxConns    = 64                    // in all
	ownerConns  = 16                    // of these, kept for uid 0 and our own uid
	sharedConns = maxConns - ownerConns // for all other users together
	userConns   = 16                    // for each of them
)

// gate is a listener that knows who connects and bounds how many connections each
// user has.
type gate struct {
	net.Listener
	log          *slog.Logger
	writeTimeout time.Duration // writeTimeout, but for tests

	mu     sync.Mutex
	conns  map[*conn]struct{} // that are open
	shared int                // of these, not of an owner
	users  map[int]int        // the shared ones by uid
	ending bool               // lets none in any more
}

func newGate(l net.Listener, log *slog.Logger) *gate {
	return &gate{Listener: l, log: log, writeTimeout: writeTimeout, conns: map[*conn]struct{}{}, users: map[int]int{}}
}

// Accept returns the next connection that is let in, a *conn.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p, err := peerOf(c.(*net.UnixConn))
		if err != nil {
			g.log.Debug("control connection without credentials", "err", err)
			c.Close()
			continue
		}
		entered := &conn{Conn: c, peer: p, gate: g}
		if g.enter(entered) {
			return entered, nil
		}
		g.log.Debug("control connection refused: too many", "uid", p.uid, "pid", p.pid)
		c.Close()
	}
}

// enter counts c, if there is room for it.
func (g *gate) enter(c *conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ending || len(g.conns) == maxConns {
		return false
	}
	if !c.peer.owner() {
		if g.shared == sharedConns || g.users[c.peer.uid] == userConns {
			return false
		}
		g.shared++
		g.users[c.peer.uid]++
	}
	g.conns[c] = struct{}{}
	return true
}

// leave takes back an enter, once.
func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, open := g.conns[c]; !open {
		return
	}
	delete(g.conns, c)
	if c.peer.owner() {
		return
	}
	g.shared--
	if g.users[c.peer.uid]--; g.users[c.peer.uid] == 0 {
		delete(g.users, c.peer.uid)
	}
}

// end ends what no request has come on: requests that were read get their answer,
// but the process does not wait for others to be sent.
func (g *gate) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ending = true
	for c := range g.conns {
		_ = c.Conn.SetReadDeadline(past) // it may be closed by now
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// conn is a connection that the gate has let in.
type conn struct {
	net.Conn
	peer peer
	gate *gate
}

// Write sends b within the gate's time for it, or fails.
func (c *conn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.gate.writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// SetReadDeadline does as that of net.Conn, but for a gate that has ended.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	if c.gate.ending {
		t = past
	}
	return c.Conn.SetReadDeadline(t)
}

// Close closes the connection and makes room for another one.
func (c *conn) Close() error {
	defer c.gate.leave(c)
	return c.Conn.Close()
}
