package doorbell

import "time"

// These constants decide how long readers sleep between two looks, and when a
// bell is given up. Each says where its value was measured; "chosen" means that
// it was not. Pages are those of docs/decisions.
const (
	// firstPoll is the first sleep after traffic at a writer that does not ring.
	// Later ones grow up to Config.Poll. Chosen: page 2.
	firstPoll = 50 * time.Microsecond
	// firstRing is the first sleep if the writer rings, and the longest if it does
	// not hold the lock: so late is one noticed that does not ring after all.
	// Chosen: page 2.
	firstRing = time.Second
	// longest is the longest sleep if the writer holds the lock. It is finite
	// because a writer may die without a ring. Chosen: page 2.
	longest = time.Minute
	// IdlePoll is the longest sleep while the writer is inactive and not known to
	// ring. Its first packets wait in the channel until then. Chosen: page 2.
	IdlePoll = 100 * time.Millisecond
	// oldInterval is the longest sleep on kernels without futex_waitv (before
	// Linux 5.16), which cannot wait for the private word and a shared one
	// together. Chosen: page 2.
	oldInterval = 50 * time.Millisecond
	// maxDoze is the longest sleep that is hidden from Go's scheduler. Its effect
	// was measured, its value chosen: docs/performance.md, "Where speed was
	// found".
	maxDoze = 5 * time.Millisecond
	// crowdedProcs is the number of Ps (GOMAXPROCS) from which on a goroutine may
	// keep one while it sleeps. Chosen.
	crowdedProcs = 4
	// maxEmpty is the number of reports in a row without new data, each followed
	// by another at once, after which a file counts as always ready. Chosen.
	maxEmpty = 64
)
