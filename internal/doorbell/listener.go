package doorbell

import (
	"sync/atomic"
	"time"
)

// Steps of the sleeps between two looks.
const (
	firstPoll = 50 * time.Microsecond // first sleep after traffic
	firstRing = time.Second           // first sleep where the writer rings
	longest   = time.Minute           // longest sleep where the writer rings
	// IdlePoll is the longest sleep while the writer is inactive and nothing
	// says that it would ring: what it sends at first waits in the channel.
	IdlePoll = 100 * time.Millisecond
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
	// begins and from time to time while the writer is inactive. nil means never.
	Locked func() bool
}

// Listener waits for a channel's writer. See the package comment for the states.
type Listener struct {
	cfg  Config
	bell bell

	heard  bool // a ring was heard in this epoch
	locked bool // the writer's lock was held when last looked
	asked  bool // locked is an answer for this epoch
	step   time.Duration
	last   cause

	seenWC, seenEpoch uint32

	quiet  entry       // of the process's poller
	polled atomic.Bool // it has seen the words change

	ringing           atomic.Bool // what Rings said last, for other goroutines
	wakeups, timeouts atomic.Uint64
}

// NewListener returns a Listener that has heard nothing yet. Close closes it.
func NewListener(cfg Config) (*Listener, error) {
	if cfg.Memory == nil {
		cfg.Memory = plain{}
	}
	l := &Listener{cfg: cfg}
	w := words{cfg.WC, cfg.Epoch}
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
	if _, ok := l.bell.(*futex); !ok {
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

// Found tells that the look after the last Wait found work.
func (l *Listener) Found() {
	if l.last == timedOut {
		// The writer had something and did not ring.
		l.heard, l.locked = false, false
	}
	l.step = 0
}

// NewEpoch tells that the writer has started or stopped: it may be another
// program now, and what was known of the old one is forgotten. A ring that told
// of it came from the new one.
func (l *Listener) NewEpoch() {
	l.heard, l.asked, l.step = l.last == rung, false, 0
}

// Wait sleeps until the writer rings, the words differ from what Look saw,
// Interrupt is called or it is time to look again. active says whether the
// channel's writer is (compatible and) active.
func (l *Listener) Wait(active bool) {
	d, most := l.next(active)
	if d == most && !l.Rings() && l.bell.prompt() {
		l.last = l.sleepQuietly(most)
	} else {
		l.last = l.bell.sleep(l.seenWC, l.seenEpoch, d)
	}
	switch l.last {
	case rung:
		l.heard, l.step = true, 0
		l.wakeups.Add(1)
	case timedOut:
		l.timeouts.Add(1)
	}
}

// sleepQuietly has the process's poller look every so often instead of waking
// up for each look. A ring is still heard.
func (l *Listener) sleepQuietly(interval time.Duration) cause {
	l.quiet = entry{l: l, wc: l.seenWC, epoch: l.seenEpoch, interval: interval}
	quiet.add(&l.quiet)
	c := l.bell.sleep(l.seenWC, l.seenEpoch, longest)
	quiet.remove(&l.quiet)
	if l.polled.Swap(false) && c == interrupted {
		return timedOut
	}
	return c
}

// next gives the length of the coming sleep and that of the longest.
func (l *Listener) next(active bool) (step, most time.Duration) {
	if !l.asked || (!active && !l.Rings() && l.step >= IdlePoll) || l.step >= longest {
		l.locked = l.cfg.Locked != nil && l.cfg.Locked()
		l.asked = true
	}
	first := firstPoll
	most = l.cfg.Poll
	l.ringing.Store(l.Rings())
	switch {
	case l.Rings():
		first, most = firstRing, longest
	case !active:
		most = max(IdlePoll, l.cfg.Poll)
	}
	l.step = min(max(2*l.step, first), most)
	return l.step, most
}

// Rings reports whether the writer is taken to ring.
func (l *Listener) Rings() bool { return (l.heard || l.locked) && l.bell.hears() }

// String names the bell in use for `show`: "futex", "muenfs events" or
// "polling". Any goroutine may call it.
func (l *Listener) String() string {
	if l.ringing.Load() && l.bell.hears() {
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
