package doorbell

import (
	"errors"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Names of the bells for `show`.
const (
	futexName   = "futex"
	eventsName  = "muenfs events"
	pollingName = "polling"
)

var errNoFutex = errors.New("futexes do not work on this memory")

// cause says why a sleep ended.
type cause uint8

const (
	changed     cause = iota // a word had changed already, or a signal came
	rung                     // the bell rang
	interrupted              // interrupt was called
	timedOut
)

// bell is the reader's end of a doorbell. Its methods are for the Listener's
// goroutine, except interrupt and fault, which any goroutine may call.
type bell interface {
	// sleep blocks until the bell rings, the words differ from the given
	// ones, which the caller read before it last looked for work, interrupt
	// is called, or d has passed. It must rarely return early for no
	// reason, so that callers do not spin.
	sleep(seenWC, seenEpoch uint32, d time.Duration) cause
	// interrupt ends the current sleep, or the next one.
	interrupt()
	// prompt reports whether interrupt ends a sleep at once.
	prompt() bool
	// usable reports whether anything can ring this bell. Once false, it
	// stays false, and sleep only times out.
	usable() bool
	// fault says why the bell is not usable; nil while it is.
	fault() error
	// name is the name of the bell for `show` while it rings.
	name() string
	close()
}

// nap is the bell for memory without one: it sleeps for a time or until it is
// interrupted, and touches no shared word. The other bells embed it for when
// they become unusable, and to keep the reason.
type nap struct {
	word uint32 // 1 = interrupted
	why  atomic.Pointer[error]
}

func (n *nap) sleep(_, _ uint32, d time.Duration) cause {
	rel := unix.NsecToTimespec(int64(d))
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&n.word)), futexWait|futexPrivate, 0,
		uintptr(unsafe.Pointer(&rel)), 0, 0)
	switch {
	case n.takeInterrupt():
		return interrupted
	case errno == unix.ETIMEDOUT:
		return timedOut
	}
	return changed // a signal
}

func (n *nap) interrupt() {
	atomic.StoreUint32(&n.word, 1)
	_, _ = wake(&n.word, futexWake|futexPrivate)
}

// takeInterrupt reports whether an interrupt is pending, and clears it.
func (n *nap) takeInterrupt() bool { return atomic.CompareAndSwapUint32(&n.word, 1, 0) }

func (n *nap) prompt() bool { return true }
func (n *nap) usable() bool { return n.why.Load() == nil }
func (n *nap) name() string { return pollingName }
func (n *nap) close()       {}

func (n *nap) fault() error {
	if why := n.why.Load(); why != nil {
		return *why
	}
	return nil
}

// disable marks the bell as unusable. Only the first reason is kept.
func (n *nap) disable(why error) { n.why.CompareAndSwap(nil, &why) }
