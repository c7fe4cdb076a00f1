package doorbell

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// events is the bell of a muenfs: the interrupt that the peer raises for the
// channel, as poll(2) on the channel's file reports it.
//
// What the file does (muenfs_poll of the kernel module muenfs): the first poll
// requests the interrupt, and from then on each interrupt is counted. A poll is
// ready when the count differs from what it was when it last reported ready, and
// reporting makes them equal. So
//
//   - readiness is a level until it is reported, and reporting clears it: an
//     interrupt that comes while nobody polls is not lost, but it is told once;
//   - an interrupt from before the first poll is lost;
//   - several interrupts may be told as one.
//
// # Why no wake-up is lost
//
// The caller reads the words (Look), looks for work until there is none, and
// then sleeps. Let a peer write, and then raise the interrupt.
//
//   - Written before Look: the look for work finds it. The interrupt may end the
//     sleep all the same, which is a look too many.
//   - Written after Look: the interrupt came later than that, and so later than
//     the last report, because all reports are from earlier sleeps. If the
//     interrupt was requested by then the file is ready, or becomes ready within
//     the poll, which puts itself on the wait queue before it compares the
//     counts: the sleep ends. If it was not requested, this is the first sleep:
//     that one polls without waiting first, which requests it, and reads the
//     words again after that. What was written until then makes them differ from
//     what Look saw; the interrupt for what is written later is counted.
//
// In every case the caller looks again after a report, and sleeps only when that
// look has found nothing: what was told as one is drained as one.
//
// Anybody else who polls the same file takes reports away from us, and a peer may
// raise no interrupt at all: so there are time-outs, as with any bell.
//
// # What can be wrong with the file
//
// POLLERR means that the channel has no interrupt, or that it is another's.
// muenfs says so at each poll and for ever: the bell is not polled again. Neither
// is one that is ready at once for ever, as any file without a poll of its own is.
type events struct {
	nap   // its word says whether there was an interrupt, its sleep is for later
	words words
	poll  func(fds []unix.PollFd, timeout *unix.Timespec) (int, error) // ppoll(2)
	armed bool                                                         // the first poll was made
	empty int                                                          // reports in a row with nothing behind them

	fds     [2]unix.PollFd
	timeout unix.Timespec
	raised  [8]byte // read from the eventfd

	mu    sync.Mutex
	alarm int // eventfd that ends the poll for interrupt; -1 once closed
}

// The descriptors of a poll.
const (
	onAlarm = iota
	onChannel
)

var (
	errNoVector    = errors.New("the channel has no interrupt of its own")
	errAlwaysReady = errors.New("the channel's file cannot be waited for: it is always ready")
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

// ppoll is a private poll: Go's own poller would keep the file in an epoll(7),
// which polls it whenever it likes and takes the reports.
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
		// It cannot be full: the sleeper empties it.
		_, _ = unix.Write(e.alarm, oneAlarm)
	}
}

// oneAlarm is the number that an eventfd is raised by, in machine order.
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
	if e.hears() && !e.armed {
		e.armed = true
		if c := e.wait(seenWC, seenEpoch, 0); c != timedOut {
			return c
		}
		if e.words.differ(seenWC, seenEpoch) {
			return changed
		}
	}
	if !e.hears() {
		return e.nap.sleep(seenWC, seenEpoch, d)
	}
	return e.wait(seenWC, seenEpoch, d)
}

// wait polls both descriptors once. After changed it may be that the bell is
// not heard any more.
func (e *events) wait(seenWC, seenEpoch uint32, d time.Duration) cause {
	_, err := e.ask(e.fds[:], d)
	if err == unix.EINTR {
		return changed
	}
	if err != nil {
		e.deaf(fmt.Errorf("poll the channel's file: %w", err))
		return changed
	}
	alarm, channel := e.fds[onAlarm].Revents, e.fds[onChannel].Revents
	if alarm&^unix.POLLIN != 0 {
		e.deaf(fmt.Errorf("poll the eventfd: %s", pollErrors(alarm)))
		return changed
	}
	if channel&^unix.POLLIN != 0 {
		why := errNoVector
		if channel&unix.POLLERR == 0 {
			why = fmt.Errorf("poll the channel's file: %s", pollErrors(channel))
		}
		e.deaf(why)
		return changed
	}
	if alarm != 0 {
		_, _ = unix.Read(int(e.fds[onAlarm].Fd), e.raised[:])
		e.taken()
	}
	switch {
	case channel != 0:
		return e.reported(seenWC, seenEpoch)
	case alarm != 0:
		return interrupted
	}
	return timedOut
}

// reported is called when the file was ready. Mostly there are new words then.
// Only if not it is asked again, to find out whether it is always ready.
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
		e.deaf(errAlwaysReady)
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

// pollErrors names what a poll answers in place of an error.
func pollErrors(revents int16) error {
	switch {
	case revents&unix.POLLNVAL != 0:
		return unix.EBADF
	case revents&unix.POLLHUP != 0:
		return errors.New("hung up")
	}
	return fmt.Errorf("unexpected events %#x", revents)
}
