package datapath

import "time"

// These constants decide how long and how often the data path waits, looks,
// rings and yields. "Measured" names where figures for the value are; "effect
// measured" where there are figures with and without, but not for other values;
// "chosen" means that it was not measured. Pages are those of docs/decisions.

// Bursts.
const (
	// burstSize is how many packets an Outbound reads before it rings the
	// doorbell, looks at its orders and may yield. Chosen:
	// TestSenderRaisesOneEventPerBurst shows what it saves.
	burstSize = 64
	// gatherSize is how many elements an Inbound takes in one burst: enough for
	// three super-packets of 1500-byte segments, because the last one of a burst
	// is seldom whole. Effect measured: page 9.
	gatherSize = 160
	// ringEvery is after how many bytes of elements a burst rings although it goes
	// on, so that a reader can begin: two super-packets. Effect
	// measured: page 9.
	ringEvery = 128 << 10
	// fewElements is the most that a burst of requests or responses has; a longer
	// one is bulk traffic. Effect measured: page 11.
	fewElements = 2
)

// Sharing the processor.
const (
	// maxTurn is how long a goroutine runs before it yields its P. It is less than
	// the 10 ms (forcePreemptNS of runtime/proc.go) after which Go's monitor
	// preempts a goroutine, or takes the P from one in a system call. Each time it
	// does so it stays awake for a while, with a look every 20 µs: 7,000 a second.
	// Effect measured: docs/performance.md, "Where speed was found".
	maxTurn = 5 * time.Millisecond
	// minLook is the least that one look of a busy loop takes. Where the clock
	// stands still, as Muen's does within a minor frame, looks count as that long.
	// Measured: two readings of the clock take 60 ns, a burst that finds nothing
	// 40 ns, and the yield more than the cheapest system call, 370 ns; less on
	// faster machines.
	minLook = 200 * time.Nanosecond
)

// Busy polling.
const (
	// leastBound is how long a busy loop looks at least, and at first: more than
	// a round trip takes where waking a thread is cheap. Chosen: page 11.
	leastBound = 50 * time.Microsecond
	// maxYield is longer than another thread of the packet's way keeps this
	// processor. A longer yield went to a program that computes: it gives the
	// processor back after its time slice, not when a packet comes. Effect
	// measured: page 11.
	maxYield = 500 * time.Microsecond
	// busyRest is how long there is no busy polling after such a yield. Effect
	// measured: page 11.
	busyRest = 20 * time.Millisecond
)

// Waiting for readers.
const (
	// maxLag bounds how long a burst waits for a reader that lags. A reader that
	// died must not stop the interface. Effect measured: page 4.
	maxLag = 500 * time.Microsecond
	// maxSleep bounds one sleep while the window is closed, and so how long Pause
	// and Close wait for it. Chosen.
	maxSleep = 10 * time.Millisecond
	// maxRenewPause bounds the pause between renewals that bring nothing.
	// Chosen: page 8.
	maxRenewPause = 4 * time.Minute
)

// Resting from a writer that keeps its reader busy without packets.
const (
	// maxVain is how long looks may be in vain before the reader rests after each.
	// Looks further apart than that cost nothing to speak of. Chosen.
	maxVain = time.Second
	// minRest and maxRest bound a rest. A channel of 1 MiB that is full again
	// after the longest one moves 80 Mbit/s: an honest writer loses little.
	// Chosen.
	minRest = 10 * time.Millisecond
	maxRest = 100 * time.Millisecond
)

// Trying again.
const (
	// devicePause is how long an Outbound leaves a broken device alone. It bounds
	// the rate of errors. Chosen.
	devicePause = time.Second
	// calm is how long every packet has to be received within its write until
	// marks are set again: by then the kernel has received whatever it had put
	// aside. While marks are suspended it is also the time between two attempts to
	// have the device account for packets. Chosen: page 13.
	calm = time.Second
	// growPause is how long the kernel gets to find memory or descriptors before
	// more queues are attached. Chosen.
	growPause = time.Second
	// idleSlot is how long a mark has to be idle to lose its queue. Chosen: less
	// than the 9 to 12 ms that Grace takes, page 1.
	idleSlot = 5 * time.Millisecond
	// releasePause is how long a sweep waits for queues to be read empty. Chosen.
	releasePause = time.Millisecond
)
