package doorbell

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Ringer is the writer's end of a doorbell: a futex, the event file of a
// muenfs, or nothing if the readers must poll. It never blocks. Any goroutine
// may call its methods.
type Ringer struct {
	words atomic.Pointer[words]
	path  string // of the event file; "" = none
	futex atomic.Bool
	// ringing counts the goroutines that are ringing a futex; see Rebind.
	ringing atomic.Int32

	mu     sync.Mutex // guards the fields below
	event  int        // the open event file; -1 = none
	err    error      // why there is no bell, or the error of the last event
	closed bool

	rings, errors atomic.Uint64
}

// NewRinger returns a Ringer for the readers of a channel. region is the
// channel, as for Words; a nil memory is plain. Close it after use.
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

// open opens the event file unless it is open. It does not use os.File, to keep
// the file out of Go's poller. The caller holds the lock, or is the only one
// that knows the Ringer.
func (r *Ringer) open() {
	if r.event >= 0 || r.closed {
		return
	}
	fd, err := unix.Open(r.path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		// For example, the policy grants the channel no event.
		r.err = fmt.Errorf("open %s: %w", r.path, err)
		return
	}
	r.event, r.err = fd, nil
}

// Ring tells the readers of new elements. Call it once per burst. It reports
// whether a reader was asleep, which it can only know if Tells is true.
func (r *Ringer) Ring() (woken bool) {
	if r.path != "" {
		r.raise()
		return false
	}
	return r.wake(false)
}

// RingAll tells the readers that an epoch began or ended. If the event file is
// not open yet, RingAll tries to open it again.
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

// Tells reports whether Ring knows if a reader was asleep, and is cheap enough
// to be called within a burst.
func (r *Ringer) Tells() bool { return r.futex.Load() }

// wake wakes the waiters on WC, or on both words.
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
	case w.readable(): // otherwise the region shrank; the next access will notice
		r.mu.Lock()
		defer r.mu.Unlock()
		r.err = errNoFutex
		r.futex.Store(false)
	}
	return false
}

// Rebind switches the Ringer to another channel, in memory of the same kind.
// The counters continue. After it returns, nothing touches the old region any
// more.
func (r *Ringer) Rebind(region []byte) {
	r.words.Store(wordsOf(region))
	// Ringing goroutines are counted before they load the words, so all
	// those that may have loaded the old ones are counted now. Each
	// finishes after a system call that does not sleep.
	for r.ringing.Load() != 0 {
		runtime.Gosched()
	}
}

// raise writes one byte to the event file. Errors are only counted: readers
// also look without being told.
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
		r.err = fmt.Errorf("write %s: no byte written", r.path)
	default:
		r.rings.Add(1)
		r.err = nil
	}
}

// oneEvent is what is written for an event; the value does not matter.
var oneEvent = []byte{1}

// Close closes the event file. Events are not raised afterwards.
func (r *Ringer) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.event >= 0 {
		unix.Close(r.event)
		r.event = -1
	}
	r.closed = true
}

// String returns the name of the bell in use for `show`: "futex", "muenfs
// events", or "polling" if there is none.
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

// Err says why there is no bell, or why the last ring failed; nil if neither.
func (r *Ringer) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Rings returns the number of rings so far, whether or not anything listened.
func (r *Ringer) Rings() uint64 { return r.rings.Load() }

// Errors returns the number of rings that failed.
func (r *Ringer) Errors() uint64 { return r.errors.Load() }
