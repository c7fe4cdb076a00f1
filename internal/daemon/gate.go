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

// writeTimeout bounds one write to a peer that does not read. It begins with the
// write: a request that waits for the one before, or for the kernel, may take
// longer.
const writeTimeout = 10 * time.Second

// gate is a listener that knows who connects and bounds how many connections each
// user has.
type gate struct {
	net.Listener
	log          *slog.Logger
	writeTimeout time.Duration // writeTimeout, but for tests

	mu     sync.Mutex
	all    int         // open connections
	shared int         // of these, not of an owner
	users  map[int]int // the shared ones by uid
}

func newGate(l net.Listener, log *slog.Logger) *gate {
	return &gate{Listener: l, log: log, writeTimeout: writeTimeout, users: map[int]int{}}
}

// Accept returns the next connection that is let in, a *conn.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p, err := peerOf(c.(*net.UnixConn))
		switch {
		case err != nil:
			g.log.Debug("control connection without credentials", "error", err)
		case !g.enter(p):
			g.log.Debug("control connection refused: too many", "uid", p.uid, "pid", p.pid)
		default:
			return &conn{Conn: c, peer: p, timeout: g.writeTimeout, leave: sync.OnceFunc(func() { g.leave(p) })}, nil
		}
		c.Close()
	}
}

// enter counts a connection of p, if there is room for it.
func (g *gate) enter(p peer) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all == maxConns {
		return false
	}
	if !p.owner() {
		if g.shared == sharedConns || g.users[p.uid] == userConns {
			return false
		}
		g.shared++
		g.users[p.uid]++
	}
	g.all++
	return true
}

// leave takes back an enter.
func (g *gate) leave(p peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	if p.owner() {
		return
	}
	g.shared--
	if g.users[p.uid]--; g.users[p.uid] == 0 {
		delete(g.users, p.uid)
	}
}

// conn is a connection that the gate has let in.
type conn struct {
	net.Conn
	peer    peer
	timeout time.Duration // of a write
	leave   func()
}

// Write sends b within the timeout, or fails.
func (c *conn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Close closes the connection and makes room for another one.
func (c *conn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
