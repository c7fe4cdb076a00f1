// Package doorbell wakes the readers of a channel and lets a reader sleep until
// its writer has something new.
//
// A channel carries no wake-up of its own: its bytes are fixed and its peers
// exist. What there is depends on the memory it lies in:
//
//	memory       the reader sleeps in       the writer rings by
//	plain file   futex on WC and Epoch      waking whoever waits there
//	muenfs       poll(2) for the channel's  a byte to the channel's event
//	             interrupt                  file, once per burst
//	PCI device   a sleep                    nothing
//
// In plain memory the bell is a futex on words that are in the channel anyway.
// The writer wakes whoever waits on the low half of WC once per burst, and on the
// low halves of WC and Epoch when it starts or stops. On memory that is mapped by
// page frame number the kernel cannot find a futex; events.go has what is done
// on a muenfs instead. Nothing in the memory says whether anybody rings or
// listens, so peers that know nothing of it stay compatible and are polled.
//
// Which of the two a writer is, a Listener learns:
//
//	         a ring told of something, or (futex) the writer's lock is held
//	┌─────────┐ ─────────────────────────────────────────▶ ┌─────────┐
//	│ polling │                                            │ ringing │
//	└─────────┘ ◀───────────────────────────────────────── └─────────┘
//	            a time-out found data, an epoch began or ended, or the lock is free
//
// Polling sleeps in growing steps up to the configured poll interval (up to
// IdlePoll while the writer is inactive); ringing sleeps up to a second, and with
// the lock in growing steps up to a minute, so that an idle channel costs nothing.
// Only the lock is proof: any process that maps the channel can ring, and one that
// does so when there is something is taken for the writer. Polled channels that have
// been quiet long enough to sleep the longest step are left to one goroutine of
// the process, which looks at all of them and wakes those that have something.
//
// A Listener belongs to one goroutine, except Interrupt, which any goroutine
// may call. The peer can change the words at any time; all it can cause is a
// wake-up too many, which Wait tells, or for its own packets one too few until the
// next look.
//
// A bell that turns out not to work is given up, and the reason kept for `show`.
//
// A [Ringer] belongs to a writer and may be used by any goroutine. Ringing never
// blocks.
//
// To listen, make a Listener with the channel's [Words] and its [Memory]; then in
// a loop Look, look for work, and Found or, if there was none, Wait.
package doorbell
