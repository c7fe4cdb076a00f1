// Package doorbell wakes the readers of a channel and lets a reader sleep until
// its writer has something new.
//
// A channel carries no wake-up of its own: its bytes are fixed and its peers
// exist. In plain memory the bell is therefore a futex on words that are in the
// channel anyway. The writer wakes whoever waits on the low half of WC once per
// burst, and on the low halves of WC and Epoch when it starts or stops; nothing
// in the memory says whether anybody rings or listens, so peers that know
// nothing of it stay compatible and are polled instead.
//
// Which of the two a writer is, a Listener learns:
//
//	            heard a ring, or the writer's lock is held
//	┌─────────┐ ─────────────────────────────────────────▶ ┌─────────┐
//	│ polling │                                            │ ringing │
//	└─────────┘ ◀───────────────────────────────────────── └─────────┘
//	            a time-out found data, or a new epoch began
//
// Polling sleeps in growing steps up to the configured poll interval (up to
// IdlePoll while the writer is inactive); ringing sleeps in growing steps up to
// a minute, so that an idle channel costs nothing. Polled channels that have
// been quiet long enough to sleep the longest step are left to one goroutine of
// the process, which looks at all of them and wakes those that have something.
//
// A Listener belongs to one goroutine, except Interrupt, which any goroutine
// may call. The peer can change the words at any time; all it can cause is a
// wake-up too many or, for its own packets, one too few until the next look.
//
// Other bells (the event files of a muenfs, the interrupts of an ivshmem
// device) have their place in this package beside futex.go.
package doorbell
