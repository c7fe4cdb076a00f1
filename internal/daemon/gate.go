package daemon

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Limits on open connections. A connection beyond them is closed as soon as it
// is accepted.
const (
	maxConns    = 64                    // in total
	ownerConns  = 16                    // of these, reserved for uid 0 and our own uid
	sharedConns = maxConns - ownerConns // for all other users together
	userConns   = 16                    // for each of them
)

// gate is a listener that identifies its callers and limits the connections of
// each user.
type gate struct {
	net.Listener
	log          *slog.Logger
	writeTimeout time.Duration // writeTimeout, except in tests

	mu     sync.Mutex
	conns  map[*conn]struct{} // open connections
	shared int                // those of callers other than owners
	users  map[int]int        // the same by uid
	ending bool               // end was called
	last   time.Time          // when ending: the deadline for requests
}

func newGate(l net.Listener, log *slog.Logger) *gate {
	return &gate{Listener: l, log: log, writeTimeout: writeTimeout, conns: map[*conn]struct{}{}, users: map[int]int{}}
}

// Accept returns the next connection within the limits, a *conn.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p, err := callerOf(c.(*net.UnixConn))
		if err != nil {
			g.log.Debug("control connection without credentials", "err", err)
			c.Close()
			continue
		}
		entered := &conn{Conn: c, caller: p, gate: g}
		if g.enter(entered) {
			return entered, nil
		}
		g.log.Debug("control connection refused: too many", "uid", p.uid, "pid", p.pid)
		c.Close()
	}
}

// enter counts c, and reports whether it is within the limits.
func (g *gate) enter(c *conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.conns) == maxConns {
		return false
	}
	if !c.caller.owner() {
		if g.shared == sharedConns || g.users[c.caller.uid] == userConns {
			return false
		}
		g.shared++
		g.users[c.caller.uid]++
	}
	g.conns[c] = struct{}{}
	return true
}

// wait returns when no connection is open any more, or ctx is done.
func (g *gate) wait(ctx context.Context) {
	for ctx.Err() == nil {
		g.mu.Lock()
		open := len(g.conns)
		g.mu.Unlock()
		if open == 0 {
			return
		}
		time.Sleep(drainPause)
	}
}

// leave undoes an enter, once.
func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, open := g.conns[c]; !open {
		return
	}
	delete(g.conns, c)
	if c.caller.owner() {
		return
	}
	g.shared--
	if g.users[c.caller.uid]--; g.users[c.caller.uid] == 0 {
		delete(g.users, c.caller.uid)
	}
}

// end gives each connection requestGrace to send a request. After that the
// process only waits for the answers.
func (g *gate) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ending = true
	g.last = time.Now().Add(requestGrace)
	for c := range g.conns {
		_ = c.Conn.SetReadDeadline(g.last) // it may already be closed
	}
}

// conn is a connection that the gate has accepted.
type conn struct {
	net.Conn
	caller caller
	gate   *gate
}

// Write sends b within the gate's writeTimeout, or fails.
func (c *conn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.gate.writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// SetReadDeadline is that of net.Conn, unless the gate is ending.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	if c.gate.ending {
		t = c.gate.last
	}
	return c.Conn.SetReadDeadline(t)
}

// Close closes the connection and makes room for another.
func (c *conn) Close() error {
	defer c.gate.leave(c)
	return c.Conn.Close()
}
