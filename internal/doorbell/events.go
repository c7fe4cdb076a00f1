package doorbell

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// events is the bell of a muenfs: the interrupt that the peer raises for the
// channel, as reported by poll(2) on the channel's file.
//
// How the file behaves (muenfs_poll of the kernel module muenfs): the first
// poll requests the interrupt, and from then on each interrupt is counted. The
// file is ready if the count differs from the count when it last reported
// ready. So
//
//   - readiness is a level until it is reported, and a report clears it: an
//     interrupt without a poll in progress is not lost, but is reported only
//     once;
//   - an interrupt before the first poll is lost;
//   - several interrupts may be reported as one.
//
// # Why no wake-up is lost
//
// The caller reads the words (Look), looks for work until there is none, and
// then sleeps. Consider a peer that writes and then raises the interrupt.
//
//   - It writes before Look: the caller finds the data. The interrupt may still
//     end the sleep, which is a spurious wake-up.
//   - It writes after Look: the interrupt is later than that, and so later than
//     the last report, because all reports are from earlier sleeps. If the
//     interrupt was already requested, the file is ready or becomes ready
//     during the poll, which joins the wait queue before it compares the
//     counts: the sleep ends. If not, this is the first sleep. That one first
//     polls without waiting, which requests the interrupt, and then reads the
//     words again. Data written until then makes them differ from what Look
//     saw; the interrupt for data written later is counted.
//
// In every case the caller looks again after a report, and only sleeps once it
// has found nothing. So it drains everything that one report stands for.
//
// Another process that polls the same file steals reports, and a peer may raise
// no interrupts at all. So there are timeouts, as with any bell.
//
// # What can be wrong with the file
//
// POLLERR means that the channel has no interrupt, or has that of another
// channel. muenfs reports this on every poll, forever, so the bell is disabled.
// So is a file that is always ready, as any file without its own poll method
// is.
type events struct {
	nap   // holds the interrupt flag, and sleeps once the file is unusable
	words words
	poll  func(fds []unix.PollFd, timeout *unix.Timespec) (int, error) // ppoll(2)
	armed bool                                                         // the first poll is done
	empty int                                                          // consecutive reports without new data

	fds     [2]unix.PollFd
	timeout unix.Timespec
	raised  [8]byte // read from the eventfd

	mu    sync.Mutex
	alarm int // eventfd by which interrupt ends the poll; -1 once closed
}

// Indices of the descriptors in a poll.
const (
	onAlarm = iota
	onChannel
)

var (
	errNoVector    = errors.New("the channel has no interrupt of its own")
	errAlwaysReady = errors.New("cannot wait on the channel's file: it is always ready")
)

func newEvents(w words, descriptor int) (*events, error) {
	alarm, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make eventfd: %w", err)
	}
	e := &events{words: w, alarm: alarm, poll: ppoll}
	e.fds[onAlarm] = unix.PollFd{Fd: int32(alarm), Events: unix.POLLIN}
	e.fds[onChannel] = unix.PollFd{Fd: int32(descriptor), Events: unix.POLLIN}
	return e, nil
}

// ppoll polls only when called. Go's own poller would put the file into an
// epoll(7), which polls at any time and consumes the reports.
var ppoll = func(fds []unix.PollFd, timeout *unix.Timespec) (int, error) {
	return unix.Ppoll(fds, timeout, nil)
}

func (e *events) name() string { return eventsName }

// interrupt ends a poll by the eventfd, and a nap by its word.
func (e *events) interrupt() {
	e.nap.interrupt()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.alarm >= 0 {
		// The eventfd cannot be full: the sleeper empties it.
		_, _ = unix.Write(e.alarm, oneAlarm)
	}
}

// oneAlarm is the number written to the eventfd, in machine order.
var oneAlarm = []byte{1, 0, 0, 0, 0, 0, 0, 0}

func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.alarm >= 0 {
		unix.Close(e.alarm)
		e.alarm = -1
	}
}

func (e *events) sleep(seenWC, seenEpoch uint32, d time.Duration) cause {
	if e.usable() && !e.armed {
		e.armed = true
		if c := e.wait(seenWC, seenEpoch, 0); c != timedOut {
			return c
		}
		if e.words.differ(seenWC, seenEpoch) {
			return changed
		}
	}
	if !e.usable() {
		return e.nap.sleep(seenWC, seenEpoch, d)
	}
	return e.wait(seenWC, seenEpoch, d)
}

// wait polls both descriptors once. If it returns changed, the bell may have
// become unusable.
func (e *events) wait(seenWC, seenEpoch uint32, d time.Duration) cause {
	_, err := e.ask(e.fds[:], d)
	if err == unix.EINTR {
		return changed
	}
	if err != nil {
		e.disable(fmt.Errorf("poll the channel's file: %w", err))
		return changed
	}
	alarm, channel := e.fds[onAlarm].Revents, e.fds[onChannel].Revents
	if alarm&^unix.POLLIN != 0 {
		e.disable(fmt.Errorf("poll the eventfd: %s", pollErrors(alarm)))
		return changed
	}
	if channel&^unix.POLLIN != 0 {
		why := errNoVector
		if channel&unix.POLLERR == 0 {
			why = fmt.Errorf("poll the channel's file: %s", pollErrors(channel))
		}
		e.disable(why)
		return changed
	}
	if alarm != 0 {
		_, _ = unix.Read(int(e.fds[onAlarm].Fd), e.raised[:])
		e.takeInterrupt()
	}
	switch {
	case channel != 0:
		return e.reported(seenWC, seenEpoch)
	case alarm != 0:
		return interrupted
	}
	return timedOut
}

// reported handles a report. Usually the words have changed. Only if they have
// not does it poll again, to detect a file that is always ready.
func (e *events) reported(seenWC, seenEpoch uint32) cause {
	if e.words.differ(seenWC, seenEpoch) {
		e.empty = 0
		return rung
	}
	if n, err := e.ask(e.fds[onChannel:], 0); err != nil || n == 0 {
		e.empty = 0
		return rung
	}
	if e.empty++; e.empty == maxEmpty {
		e.disable(errAlwaysReady)
		return changed
	}
	return rung
}

func (e *events) ask(fds []unix.PollFd, d time.Duration) (int, error) {
	for i := range fds {
		fds[i].Revents = 0
	}
	e.timeout = unix.NsecToTimespec(int64(d))
	return e.poll(fds, &e.timeout)
}

// pollErrors translates the error bits of a poll.
func pollErrors(revents int16) error {
	switch {
	case revents&unix.POLLNVAL != 0:
		return unix.EBADF
	case revents&unix.POLLHUP != 0:
		return errors.New("hung up")
	}
	return fmt.Errorf("unexpected events %#x", revents)
}
