package doorbell

import (
	"sync/atomic"
	"time"
)

// Config of a Listener.
type Config struct {
	// WC and Epoch are the low halves of these words of the channel.
	WC, Epoch *uint32
	// Memory says which bells are available; nil means plain memory.
	Memory Memory
	// Poll is the longest sleep between looks at an active writer that does
	// not ring.
	Poll time.Duration
	// Locked reports whether a writer holds its lock on the channel, which
	// only writers that ring a futex do. Wait calls it when an epoch
	// begins, after a long sleep that relied on the lock, and occasionally
	// while the writer is inactive. nil means never.
	Locked func() bool
}

// Listener waits for the writer of a channel. The package comment describes its
// states.
type Listener struct {
	cfg   Config
	words words
	bell  bell
	open  bool // any process that maps the channel can ring

	heard  bool // a ring announced data in this epoch
	locked bool // the writer's lock was held when last checked
	asked  bool // locked was checked in this epoch
	step   time.Duration
	last   cause

	seenWC, seenEpoch uint32

	quiet  entry       // in the process's poller
	polled atomic.Bool // the poller saw the words change

	ringing           atomic.Bool // the last Wait assumed that the writer rings
	wakeups, timeouts atomic.Uint64
}

// NewListener returns a Listener in the polling state. Close it after use.
func NewListener(cfg Config) (*Listener, error) {
	if cfg.Memory == nil {
		cfg.Memory = plain{}
	}
	w := words{cfg.WC, cfg.Epoch}
	l := &Listener{cfg: cfg, words: w}
	switch {
	case cfg.Memory.EventPath() != "":
		b, err := newEvents(w, cfg.Memory.Descriptor())
		if err != nil {
			return nil, err
		}
		l.bell = b
	case cfg.Memory.Futex():
		l.bell = &futex{words: w}
	default:
		b := &nap{}
		b.disable(errNoFutex)
		l.bell = b
	}
	if _, l.open = l.bell.(*futex); !l.open {
		l.cfg.Locked = nil
	}
	return l, nil
}

// Close releases the resources of the bell. Do not call Wait afterwards.
func (l *Listener) Close() { l.bell.close() }

// Interrupt ends the current Wait, or the next one. Any goroutine may call it.
func (l *Listener) Interrupt() { l.bell.interrupt() }

// Look records the words of the channel. Call it before looking for work: later
// changes end the next Wait at once, so no ring is missed.
func (l *Listener) Look() {
	l.seenWC = atomic.LoadUint32(l.cfg.WC)
	l.seenEpoch = atomic.LoadUint32(l.cfg.Epoch)
}

// Found records that the look after the last Wait found work. Only then does a
// ring count as the writer's.
func (l *Listener) Found() {
	switch l.last {
	case rung:
		l.heard = true
	case timedOut:
		// The writer had data and did not ring.
		l.heard, l.locked = false, false
	}
	l.last, l.step = changed, 0
}

// NewEpoch records that the writer has started or stopped. It may now be
// another program, so what is known of the old one is forgotten. If a ring
// announced the new epoch, the new writer rings.
func (l *Listener) NewEpoch() {
	l.heard, l.asked, l.step = l.last == rung, false, 0
}

// Wait sleeps until the writer rings, the words differ from those Look saw,
// Interrupt is called, or it is time to look again. active says whether the
// channel has an active and compatible writer. Wait reports whether there was a
// sign of the writer, or of a process that pretends to be it: a ring, or
// changed words.
func (l *Listener) Wait(active bool) (sign bool) {
	if l.last == rung && l.open {
		l.heard = false // a spurious ring: other processes ring, too
	}
	d, most := l.next(active)
	polled := false
	if d == most && !l.ringing.Load() && l.bell.prompt() {
		l.last, polled = l.sleepQuietly(most)
	} else {
		l.last = l.bell.sleep(l.seenWC, l.seenEpoch, d)
	}
	switch l.last {
	case rung:
		l.wakeups.Add(1)
	case timedOut:
		l.timeouts.Add(1)
	}
	return polled || l.last == rung || l.last == changed
}

// sleepQuietly sleeps until a ring or an interrupt while the process's poller
// watches the words, instead of waking up for each look. polled reports whether
// the poller saw a change.
func (l *Listener) sleepQuietly(interval time.Duration) (c cause, polled bool) {
	l.quiet = entry{l: l, wc: l.seenWC, epoch: l.seenEpoch, interval: interval}
	quiet.add(&l.quiet)
	c = l.bell.sleep(l.seenWC, l.seenEpoch, longest)
	quiet.remove(&l.quiet)
	if l.polled.Swap(false) && c == interrupted {
		return timedOut, true
	}
	return c, false
}

// next returns the length of the next sleep and its maximum.
//
// Rings in one epoch say nothing about the writer of the next: without the
// lock, no sleep is longer than a second. And a program other than the writer
// may have woken the futex: sleeps on it start short, to detect a writer that
// does not ring.
func (l *Listener) next(active bool) (step, most time.Duration) {
	lockEnds := l.locked && l.last == timedOut // the writer may have exited during the sleep
	if !l.asked || lockEnds || (!active && !l.locked && l.step >= IdlePoll) {
		l.locked = l.cfg.Locked != nil && l.cfg.Locked()
		l.asked = true
	}
	rings := (l.locked || (l.heard && active)) && l.bell.usable()
	l.ringing.Store(rings)
	first := firstPoll
	switch {
	case rings && l.locked:
		first, most = firstRing, longest
	case rings && l.open:
		most = firstRing
	case rings:
		first, most = firstRing, firstRing
	case active:
		most = l.cfg.Poll
	default:
		most = max(IdlePoll, l.cfg.Poll)
	}
	l.step = min(max(2*l.step, first), most)
	return l.step, most
}

// Rings reports whether the last Wait assumed that the writer rings. Any
// goroutine may call it.
func (l *Listener) Rings() bool { return l.ringing.Load() && l.bell.usable() }

// String returns the name of the bell in use for `show`: "futex", "muenfs
// events" or "polling". Any goroutine may call it.
func (l *Listener) String() string {
	if l.Rings() {
		return l.bell.name()
	}
	return pollingName
}

// Err says why no bell is usable here, nil if one is. Any goroutine may call
// it.
func (l *Listener) Err() error { return l.bell.fault() }

// Wakeups returns the number of rings received. Any goroutine may call it.
func (l *Listener) Wakeups() uint64 { return l.wakeups.Load() }

// Timeouts returns the number of sleeps that timed out. Any goroutine may call
// it.
func (l *Listener) Timeouts() uint64 { return l.timeouts.Load() }
