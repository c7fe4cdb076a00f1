package daemon

import "time"

// These constants bound how long the daemon waits for other processes. None was
// measured: an honest client needs milliseconds.

// Clients of the control socket.
const (
	// headerTimeout and readTimeout bound how long a client may take to send the
	// header, and all of a request.
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	// idleTimeout is how long a connection is kept between two requests.
	idleTimeout = 30 * time.Second
	// writeTimeout bounds one write to a client that does not read. It begins
	// with the write: a request that waits for an earlier one, or for the kernel,
	// may take longer.
	writeTimeout = 10 * time.Second
)

// requestGrace is how long a client that is already connected may take to send
// its request when the daemon ends. It is the least delay of the end with a
// client that sends nothing.
const requestGrace = 100 * time.Millisecond

// drainPause is the pause between two looks for connections that are not yet
// accepted, or still open, when the daemon ends.
const drainPause = time.Millisecond

// stopGrace is how long requests may still be answered once the interfaces are
// gone; a variable for tests.
var stopGrace = 5 * time.Second

// notifyTimeout bounds the wait for a service manager that does not read.
const notifyTimeout = time.Second
