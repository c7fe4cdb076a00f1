package driver

import "time"

// These values decide how long the driver waits and how often it looks. None of
// them concerns a single packet. "Effect measured" and "chosen" mean what they
// mean in the data path's waiting.go. Pages are those of docs/decisions.

// Trying again.
const (
	// firstRetry and mostRetry bound the pause before a stopped direction or a
	// replaced file is tried again; it doubles in between. A try may read all
	// of a channel's memory. Chosen: page 16.
	firstRetry = time.Second
	mostRetry  = 8 * time.Second
	// trackRetry is the pause between two tries to track a device that was moved.
	// Chosen: page 14.
	trackRetry = time.Second
)

// Showing the peer's state by the carrier.
const (
	// firstHold and mostHold bound how long after one change of the carrier the
	// next one is shown: each time twice as long. A restarting peer is followed at
	// once, and a flapping one costs two changes a second. Effect measured: page
	// 18.
	firstHold = 50 * time.Millisecond
	mostHold  = 500 * time.Millisecond
	// calmAfter is how long no change must have come for the next one to be shown
	// at once. Chosen: page 18.
	calmAfter = 2 * time.Second
)

// The time from one round of the patrol to the next.
const (
	// calmRound is for when all is well and the kernel reports changes. It bounds
	// how late a change is seen that the kernel did not report. Effect measured:
	// page 16.
	calmRound = 10 * time.Second
	// restlessRound is for when something is wrong, or the kernel does not report.
	// Effect measured: page 16.
	restlessRound = time.Second
	// hintedRound is how long after a report the round comes: changes seldom come
	// alone. Chosen: page 16.
	hintedRound = 200 * time.Millisecond
)

// pinInterval is the time between two checks whether a pinned namespace has
// users. One without users in two checks in a row counts as dead. A check that
// finds none takes some 30 ms. Chosen: page 14. Tests shorten it.
var pinInterval = 5 * time.Second

// statusWait is how long Status waits for the interfaces. One whose forwarder
// hangs in a page fault, on a file system that is stuck, never answers. Chosen.
const statusWait = time.Second
