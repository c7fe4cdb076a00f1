package doorbell

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Ringer is the writer's end of a doorbell: a futex, the event file of a muenfs,
// or nothing, where readers have to look for themselves. It never blocks. Its
// methods may be called from any goroutine.
type Ringer struct {
	words atomic.Pointer[words]
	path  string // of the event file; "" = none
	futex atomic.Bool
	// ringing counts the goroutines that ring a futex right now: see Rebind.
	ringing atomic.Int32

	mu     sync.Mutex // guards the fields below
	event  int        // the open event file; -1 = none
	err    error      // why there is none, or what the last event met
	closed bool

	rings, errors atomic.Uint64
}

// NewRinger returns a Ringer for the readers of a channel. region is the
// channel, as for Words; a nil memory is plain. Close closes it.
func NewRinger(region []byte, memory Memory) *Ringer {
	if memory == nil {
		memory = plain{}
	}
	r := &Ringer{path: memory.EventPath(), event: -1}
	r.words.Store(wordsOf(region))
	if r.path != "" {
		r.open()
		return r
	}
	r.futex.Store(memory.Futex())
	if !memory.Futex() {
		r.err = errNoFutex
	}
	return r
}

// open opens the event file if it is not. It stays away from os.File, whose
// poller has no business with such a file. The caller holds the lock, or is the
// only one to know the Ringer.
func (r *Ringer) open() {
	if r.event >= 0 || r.closed {
		return
	}
	fd, err := unix.Open(r.path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		// A channel whose policy has no event for it, for one.
		r.err = fmt.Errorf("open %s: %w", r.path, err)
		return
	}
	r.event, r.err = fd, nil
}

// Ring tells the readers of new elements, once per burst. It reports whether one
// was asleep; without Tells that is never known.
func (r *Ringer) Ring() (woken bool) {
	if r.path != "" {
		r.raise()
		return false
	}
	return r.wake(false)
}

// RingAll tells the readers that an epoch began or ended. Where there was no
// event file so far it is looked for again.
func (r *Ringer) RingAll() {
	if r.path != "" {
		r.mu.Lock()
		r.open()
		r.mu.Unlock()
		r.raise()
		return
	}
	r.wake(true)
}

// Tells reports whether Ring knows if somebody was asleep, and is cheap enough
// to be called within a burst.
func (r *Ringer) Tells() bool { return r.futex.Load() }

// wake wakes who waits for WC, or for either word.
func (r *Ringer) wake(both bool) (woken bool) {
	if !r.futex.Load() {
		return false
	}
	r.ringing.Add(1)
	defer r.ringing.Add(-1)
	w := r.words.Load() // after ringing is counted
	if both {
		wake(w.epoch, futexWake)
	}
	n, errno := wake(w.wc, futexWake)
	switch {
	case errno == 0:
		r.rings.Add(1)
		return n > 0
	case errno != unix.EFAULT:
		r.errors.Add(1)
	case w.there(): // else the region shrank, as the next access will tell
		r.mu.Lock()
		defer r.mu.Unlock()
		r.err = errNoFutex
		r.futex.Store(false)
	}
	return false
}

// Rebind has the Ringer ring for another channel, in memory of the same kind,
// from now on; the counters go on. When it returns, nothing touches the old
// region any more.
func (r *Ringer) Rebind(region []byte) {
	r.words.Store(wordsOf(region))
	// Whoever rings was counted before it loaded the words. So those that may
	// have loaded the old ones are all counted now. Each is done after a system
	// call that does not sleep.
	for r.ringing.Load() != 0 {
		runtime.Gosched()
	}
}

// raise writes one byte to the event file. What goes wrong is counted: readers
// look from time to time even if they are never told.
func (r *Ringer) raise() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.event < 0 {
		return
	}
	n, err := unix.Write(r.event, oneEvent)
	for err == unix.EINTR {
		n, err = unix.Write(r.event, oneEvent)
	}
	switch {
	case err != nil:
		r.errors.Add(1)
		r.err = fmt.Errorf("write %s: %w", r.path, err)
	case n != len(oneEvent):
		r.errors.Add(1)
		r.err = fmt.Errorf("write %s: nothing was written", r.path)
	default:
		r.rings.Add(1)
		r.err = nil
	}
}

// oneEvent is what is written for an event; what the byte is does not matter.
var oneEvent = []byte{1}

// Close closes the event file. Ringing afterwards does nothing there.
func (r *Ringer) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.event >= 0 {
		unix.Close(r.event)
		r.event = -1
	}
	r.closed = true
}

// String names the bell in use for `show`: "futex", "muenfs events", or
// "polling" where there is none.
func (r *Ringer) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.futex.Load():
		return futexName
	case r.event >= 0:
		return eventsName
	}
	return pollingName
}

// Err is why there is no bell, or what the last ring met; nil if nothing.
func (r *Ringer) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Rings counts the rings so far, whether anybody listened or not.
func (r *Ringer) Rings() uint64 { return r.rings.Load() }

// Errors counts the rings that went wrong.
func (r *Ringer) Errors() uint64 { return r.errors.Load() }
