package doorbell

import (
	"errors"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Names of the bells, for `show`.
const (
	futexName   = "futex"
	eventsName  = "muenfs events"
	pollingName = "polling"
)

var errNoFutex = errors.New("futexes do not work on this memory")

// cause is why a sleep ended.
type cause uint8

const (
	changed     cause = iota // a word no longer had the value seen: nothing slept
	rung                     // somebody rang
	interrupted              // interrupt
	timedOut
)

// bell is the reader's end of a doorbell. Its methods are called by the
// Listener's goroutine, interrupt and fault by any.
type bell interface {
	// sleep blocks until the bell rings, the words differ from what was seen of
	// them before the caller last looked for work, interrupt is called, or d has
	// passed. What it returns sooner for no reason is rare: nothing may spin.
	sleep(seenWC, seenEpoch uint32, d time.Duration) cause
	// interrupt ends the sleep under way, or the next one.
	interrupt()
	// prompt reports whether interrupt ends a sleep at once.
	prompt() bool
	// hears reports whether anything could ring this bell. Once false it
	// remains so, and sleep is left with time-outs.
	hears() bool
	// fault is why not, nil as long as hears is true.
	fault() error
	// name is what `show` calls the bell while it rings.
	name() string
	close()
}

// nap is the bell that nobody rings: it sleeps for a time, or until it is
// interrupted. It touches no shared word. The other bells have one for when they
// cannot be heard any more, with why that is so.
type nap struct {
	word uint32 // 1 = interrupted
	why  atomic.Pointer[error]
}

func (n *nap) sleep(_, _ uint32, d time.Duration) cause {
	rel := unix.NsecToTimespec(int64(d))
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&n.word)), futexWait|futexPrivate, 0,
		uintptr(unsafe.Pointer(&rel)), 0, 0)
	switch {
	case n.taken():
		return interrupted
	case errno == unix.ETIMEDOUT:
		return timedOut
	}
	return changed // a signal: look too early
}

func (n *nap) interrupt() {
	atomic.StoreUint32(&n.word, 1)
	_, _ = wake(&n.word, futexWake|futexPrivate)
}

// taken reports whether there was an interrupt, which has had its effect then.
func (n *nap) taken() bool { return atomic.CompareAndSwapUint32(&n.word, 1, 0) }

func (n *nap) prompt() bool { return true }
func (n *nap) hears() bool  { return n.why.Load() == nil }
func (n *nap) name() string { return pollingName }
func (n *nap) close()       {}

func (n *nap) fault() error {
	if why := n.why.Load(); why != nil {
		return *why
	}
	return nil
}

// deaf has the bell be heard no more. Only the first reason is kept.
func (n *nap) deaf(why error) { n.why.CompareAndSwap(nil, &why) }
