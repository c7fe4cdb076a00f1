package doorbell

import (
	"sync/atomic"
	"time"
)

// Config of a Listener.
type Config struct {
	// WC and Epoch are the low halves of these words of the channel.
	WC, Epoch *uint32
	// Memory says which bells there are; nil means plain memory.
	Memory Memory
	// Poll is the longest sleep between looks at an active writer that does not
	// ring.
	Poll time.Duration
	// Locked reports whether a writer holds its lock on the channel, which only
	// writers that ring a futex do. It is called where there is one, when an epoch
	// begins, after a sleep that was long because of it, and from time to time while
	// the writer is inactive. nil means never.
	Locked func() bool
}

// Listener waits for a channel's writer. See the package comment for the states.
type Listener struct {
	cfg   Config
	words words
	bell  bell
	open  bool // who maps the channel can ring, not only its writer

	heard  bool // a ring told of something in this epoch
	locked bool // the writer's lock was held when last looked
	asked  bool // locked is an answer for this epoch
	step   time.Duration
	last   cause

	seenWC, seenEpoch uint32

	quiet  entry       // of the process's poller
	polled atomic.Bool // it has seen the words change

	ringing           atomic.Bool // the writer was taken to ring at the last Wait
	wakeups, timeouts atomic.Uint64
}

// NewListener returns a Listener that has heard nothing yet. Close closes it.
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
		b.deaf(errNoFutex)
		l.bell = b
	}
	if _, l.open = l.bell.(*futex); !l.open {
		l.cfg.Locked = nil
	}
	return l, nil
}

// Close gives back what the bell has of the operating system. Nobody may Wait
// any more.
func (l *Listener) Close() { l.bell.close() }

// Interrupt ends the sleep under way, or the next one. Any goroutine may call it.
func (l *Listener) Interrupt() { l.bell.interrupt() }

// Look remembers the channel's words. Call it before looking for work: what
// changes after it ends the next Wait at once, so that no ring is missed.
func (l *Listener) Look() {
	l.seenWC = atomic.LoadUint32(l.cfg.WC)
	l.seenEpoch = atomic.LoadUint32(l.cfg.Epoch)
}

// Found tells that the look after the last Wait found work. Only now a ring
// counts as the writer's.
func (l *Listener) Found() {
	switch l.last {
	case rung:
		l.heard = true
	case timedOut:
		// The writer had something and did not ring.
		l.heard, l.locked = false, false
	}
	l.last, l.step = changed, 0
}

// NewEpoch tells that the writer has started or stopped: it may be another
// program now, and what was known of the old one is forgotten. A ring that told
// of it came from the new one.
func (l *Listener) NewEpoch() {
	l.heard, l.asked, l.step = l.last == rung, false, 0
}

// Wait sleeps until the writer rings, the words differ from what Look saw,
// Interrupt is called or it is time to look again. active says whether the
// channel's writer is (compatible and) active. It reports whether there was a
// sign of the writer, or of who pretends to be it: a ring, or other words.
func (l *Listener) Wait(active bool) (sign bool) {
	if l.last == rung && l.open {
		l.heard = false // it was for nothing: there are others who ring
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

// sleepQuietly has the process's poller look every so often instead of waking
// up for each look, and tells whether that has found something. A ring is still
// heard.
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

// next gives the length of the coming sleep and that of the longest.
//
// Rings that were heard were those of an epoch and say nothing of the writer that
// comes after it: without the lock no sleep is longer than a second. And a futex may
// have been woken by another program than the writer: its sleeps begin short, so
// that one that does not ring is found out.
func (l *Listener) next(active bool) (step, most time.Duration) {
	lockEnds := l.locked && l.last == timedOut // the process may have ended during the sleep
	if !l.asked || lockEnds || (!active && !l.locked && l.step >= IdlePoll) {
		l.locked = l.cfg.Locked != nil && l.cfg.Locked()
		l.asked = true
	}
	rings := (l.locked || (l.heard && active)) && l.bell.hears()
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

// Rings reports whether the writer was taken to ring at the last Wait. Any
// goroutine may call it.
func (l *Listener) Rings() bool { return l.ringing.Load() && l.bell.hears() }

// String names the bell in use for `show`: "futex", "muenfs events" or
// "polling". Any goroutine may call it.
func (l *Listener) String() string {
	if l.Rings() {
		return l.bell.name()
	}
	return pollingName
}

// Err is why no bell can be heard here, nil if one could. Any goroutine may call
// it.
func (l *Listener) Err() error { return l.bell.fault() }

// Wakeups counts the rings heard. Any goroutine may call it.
func (l *Listener) Wakeups() uint64 { return l.wakeups.Load() }

// Timeouts counts the looks that no ring asked for. Any goroutine may call it.
func (l *Listener) Timeouts() uint64 { return l.timeouts.Load() }
