package doorbell

import (
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/testnet"
)

// interrupts is a channel file whose interrupts the test raises. Its poll
// behaves like that of a muenfs: interrupts before the first poll are lost, and
// what it has reported it does not report again.
type interrupts struct {
	t     *testing.T
	fd    int // eventfd
	asked bool
	calls atomic.Int64
	fail  []error // errors for the next polls to return
	keep  int     // reports that do not clear, as if another interrupt followed at once
}

func (i *interrupts) raise() {
	if _, err := unix.Write(i.fd, oneAlarm); err != nil {
		i.t.Errorf("raise: %v", err)
	}
}

func (i *interrupts) clear() { _, _ = unix.Read(i.fd, make([]byte, 8)) }

func (i *interrupts) poll(fds []unix.PollFd, timeout *unix.Timespec) (int, error) {
	i.calls.Add(1)
	if len(i.fail) > 0 {
		err := i.fail[0]
		i.fail = i.fail[1:]
		return 0, err
	}
	if !i.asked {
		i.asked = true
		i.clear()
	}
	n, err := unix.Ppoll(fds, timeout, nil)
	for _, fd := range fds {
		if int(fd.Fd) != i.fd || fd.Revents&unix.POLLIN == 0 {
			continue
		}
		if i.keep--; i.keep < 0 {
			i.clear()
		}
	}
	return n, err
}

// onEvents returns a Listener with events on such a file, and the words that
// its peer writes.
func onEvents(t *testing.T, cfg Config) (l *Listener, i *interrupts, wc, epoch *uint32) {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	i = &interrupts{t: t, fd: fd}
	cfg.Memory = memory{events: "/muenevents/a", descriptor: fd}
	l, wc, epoch = listen(t, cfg)
	l.bell.(*events).poll = i.poll
	return l, i, wc, epoch
}

// armed brings a bell past its first poll, and past interrupts that came too
// late for their sleep.
func armed(t *testing.T, l *Listener) {
	t.Helper()
	for range 10 {
		l.Look()
		if l.bell.sleep(l.seenWC, l.seenEpoch, 0) == timedOut {
			return
		}
	}
	t.Fatal("sleeps end for no reason")
}

// timesOut checks that the sleep ends only by timeout, or by a signal.
func timesOut(t *testing.T, l *Listener) {
	t.Helper()
	for range 10 {
		l.Look()
		switch c := l.bell.sleep(l.seenWC, l.seenEpoch, time.Millisecond); c {
		case timedOut:
			return
		case changed:
		default:
			t.Fatalf("cause %v, want timedOut", c)
		}
	}
	t.Fatal("sleeps end for no reason")
}

func TestEventWakes(t *testing.T) {
	testnet.CheckLeaks(t)
	for _, epochs := range []bool{false, true} {
		l, i, wc, epoch := onEvents(t, Config{Poll: time.Hour})
		armed(t, l)
		word := wc
		if epochs {
			word = epoch
		}
		l.Look()
		l.step = longest // otherwise the sleeps are short
		before := i.calls.Load()
		done := wait(l)
		testnet.Eventually(t, "the sleep", func() bool { return i.calls.Load() > before })
		atomic.AddUint32(word, 1)
		i.raise()
		<-done
		c := l.last
		l.Found()
		if d, _ := l.next(true); c != rung || l.Wakeups() != 1 || d != firstRing || l.String() != "muenfs events" || l.Err() != nil {
			t.Errorf("cause %v, %d wake-ups, next sleep %v, %s: %v", c, l.Wakeups(), d, l, l.Err())
		}
	}
}

// An interrupt between two sleeps ends the second, and only that.
func TestEventIsKeptUntilItIsTold(t *testing.T) {
	l, i, wc, _ := onEvents(t, Config{})
	armed(t, l)
	l.Look()
	atomic.AddUint32(wc, 1)
	i.raise()
	i.raise() // reported as one
	if c := l.bell.sleep(l.seenWC, l.seenEpoch, time.Minute); c != rung {
		t.Errorf("cause %v, want rung", c)
	}
	timesOut(t, l)
}

// The first poll requests the interrupt. An earlier one is lost, but the data
// must be found nevertheless.
func TestEventBeforeTheFirstPoll(t *testing.T) {
	for _, epochs := range []bool{false, true} {
		l, i, wc, epoch := onEvents(t, Config{})
		word := wc
		if epochs {
			word = epoch
		}
		l.Look()
		atomic.AddUint32(word, 1)
		i.raise()
		if c := l.bell.sleep(l.seenWC, l.seenEpoch, time.Minute); c != changed {
			t.Errorf("cause %v, want changed", c)
		}
	}
}

// A writer that waits for the reader after each element would wait forever if a
// wake-up were lost, because the sleeps are practically endless.
func TestNoEventIsLost(t *testing.T) {
	const elements = 1000
	l, i, wc, _ := onEvents(t, Config{})
	var read atomic.Uint32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for read.Load() < elements {
			l.Look()
			read.Store(l.seenWC)
			if l.seenWC < elements {
				l.bell.sleep(l.seenWC, l.seenEpoch, time.Minute)
			}
		}
	}()
	for n := uint32(1); n <= elements; n++ {
		atomic.StoreUint32(wc, n)
		i.raise()
		comesSoon(t, "element", func() bool { return read.Load() >= n })
	}
	<-done
}

// comesSoon is comes for what is expected within microseconds.
func comesSoon(t *testing.T, what string, f func() bool) {
	t.Helper()
	for range 1000 {
		if f() {
			return
		}
		time.Sleep(0)
	}
	testnet.Eventually(t, what, f)
}

// mustInterrupt checks that Interrupt ends an otherwise endless sleep.
func mustInterrupt(t *testing.T, l *Listener) {
	t.Helper()
	l.Look()
	l.Interrupt()
	if c := l.bell.sleep(l.seenWC, l.seenEpoch, time.Minute); c != interrupted {
		t.Errorf("interrupted before: cause %v", c)
	}
	last := make(chan cause)
	go func() { last <- l.bell.sleep(l.seenWC, l.seenEpoch, time.Minute) }()
	for {
		select {
		case c := <-last:
			if c != interrupted && c != changed {
				t.Errorf("interrupted within: cause %v", c)
			}
			return
		case <-time.After(time.Millisecond):
			l.Interrupt()
		}
	}
}

func TestEventsInterrupt(t *testing.T) {
	testnet.CheckLeaks(t)
	l, i, wc, _ := onEvents(t, Config{})
	mustInterrupt(t, l) // which does not poll
	armed(t, l)
	mustInterrupt(t, l)
	armed(t, l)
	l.Look()
	atomic.AddUint32(wc, 1)
	i.raise()
	l.Interrupt()
	if c := l.bell.sleep(l.seenWC, l.seenEpoch, time.Minute); c != rung {
		t.Errorf("interrupted and rung: cause %v: the ring is lost", c)
	}
	l.Close()
	l.Interrupt() // a late waiter
	l.Close()
}

// A peer of a muenfs is polled until it rings, and again after a missed ring.
func TestEventsLengthenAndShorten(t *testing.T) {
	l, i, wc, _ := onEvents(t, Config{Poll: time.Millisecond, Locked: func() bool {
		t.Error("asked for the lock, which does not matter for events")
		return true
	}})
	if d, _ := l.next(true); d != firstPoll || l.String() != "polling" || l.Err() != nil {
		t.Errorf("unheard: %v by %s: %v", d, l, l.Err())
	}
	armed(t, l)
	l.Look()
	atomic.AddUint32(wc, 1)
	i.raise()
	l.Wait(true)
	l.Found()
	if d, _ := l.next(true); d != firstRing || l.String() != "muenfs events" {
		t.Errorf("heard: %v by %s", d, l)
	}
	l.last = timedOut
	l.Found()
	if d, _ := l.next(true); d != firstPoll || l.String() != "polling" {
		t.Errorf("unheard again: %v by %s", d, l)
	}
}

// A quiet Listener receives both what the process's poller finds and events.
func TestPollerAndEvents(t *testing.T) {
	l, i, wc, _ := onEvents(t, Config{Poll: time.Millisecond})
	armed(t, l)
	quietly := func() chan struct{} {
		settle(l, true)
		l.Look()
		done := wait(l)
		testnet.Eventually(t, "the poller", func() bool { n, _ := quiet.watching(); return n == 1 })
		return done
	}
	done := quietly()
	atomic.AddUint32(wc, 1) // and no event
	<-done
	if l.last != timedOut || l.Rings() {
		t.Errorf("written: cause %v", l.last)
	}
	l.Found()
	done = quietly()
	i.raise()
	<-done
	if l.last != rung || l.Rings() {
		t.Errorf("raised: cause %v", l.last)
	}
	done = quietly()
	l.Interrupt()
	<-done
	if l.last != interrupted {
		t.Errorf("interrupted: cause %v", l.last)
	}
	testnet.Eventually(t, "the poller's end", func() bool { n, running := quiet.watching(); return n == 0 && !running })
}

// The cost of polling the file without waiting, which each sleep would pay if
// it polled before it compared the words.
func BenchmarkEventsAsk(b *testing.B) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fd)
	var wc, epoch uint32
	e, err := newEvents(words{&wc, &epoch}, fd)
	if err != nil {
		b.Fatal(err)
	}
	defer e.close()
	for b.Loop() {
		if c := e.wait(0, 0, 0); c == rung || !e.usable() { // a signal may end the poll
			b.Fatal(c, e.fault())
		}
	}
}
