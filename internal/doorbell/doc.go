// Package doorbell wakes the readers of a channel, and lets a reader sleep
// until its writer has something new.
//
// A channel has no wake-ups of its own, because its layout is fixed and peers
// without wake-ups exist. What is available depends on the memory of the
// channel:
//
//	memory       the reader sleeps in       the writer rings by
//	plain file   futex on WC and Epoch      waking the waiters
//	muenfs       poll(2) for the channel's  writing a byte to the channel's
//	             interrupt                  event file, once per burst
//	PCI device   a timed sleep              nothing
//
// In plain memory the bell is a futex on words of the channel. The writer wakes
// the waiters on the low half of WC once per burst, and those on the low halves
// of WC and Epoch when it starts or stops. In memory that is mapped by page
// frame number the kernel cannot find a futex; events.go describes the
// replacement for a muenfs. Nothing in the memory says whether a peer rings or
// listens. So peers without this package stay compatible, and are polled.
//
// A Listener learns whether its writer rings:
//
//	         a ring announced data, or (futex) the writer's lock is held
//	┌─────────┐ ─────────────────────────────────────────▶ ┌─────────┐
//	│ polling │                                            │ ringing │
//	└─────────┘ ◀───────────────────────────────────────── └─────────┘
//	            a timeout found data, an epoch began or ended, or the lock is free
//
// While polling, the sleeps grow up to the configured poll interval, and up to
// IdlePoll while the writer is inactive. While ringing, they grow up to a
// second, or up to a minute if the writer holds the lock, so that an idle
// channel costs nothing. Only the lock is proof: any process that maps the
// channel can ring, and is taken for the writer if it does so when there is
// data. Once the sleeps on a polled channel have reached their maximum, one
// goroutine of the process polls all such channels and wakes the Listeners of
// those that change.
//
// A Listener belongs to one goroutine, except that any goroutine may call
// Interrupt. The peer can change the words at any time. All it can cause is a
// spurious wake-up, which Wait reports, or a late one for its own packets.
//
// A bell that turns out not to work is abandoned. The reason is kept for
// `show`.
//
// A [Ringer] belongs to a writer and may be used by any goroutine. Ringing
// never blocks.
//
// To listen, create a Listener with the channel's [Words] and its [Memory].
// Then, in a loop, call Look, look for work, and call Found, or Wait if there
// was none.
package doorbell
