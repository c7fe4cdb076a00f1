package doorbell

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/testnet"
)

// interrupts is a channel file whose interrupts the test raises. Its poll does
// what that of a muenfs does: what comes before the first one is lost, and what
// it has reported it does not report again.
type interrupts struct {
	t     *testing.T
	fd    int // eventfd
	asked bool
	calls atomic.Int64
	fail  []error // what the next polls return instead
	keep  int     // reports that do not clear, as if the next interrupt came at once
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

// onEvents returns a Listener whose bell is an events on a file like that, and
// the words that its peer writes.
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

// armed brings a bell past its first poll, and past interrupts that came too late
// for the sleep they were for.
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
		l.heard, l.step = true, longest // else the sleeps are short
		before := i.calls.Load()
		done := wait(l)
		comes(t, "the sleep", func() bool { return i.calls.Load() > before })
		atomic.AddUint32(word, 1)
		i.raise()
		<-done
		if l.last != rung || l.Wakeups() != 1 || l.step != 0 || l.String() != "muenfs events" || l.Err() != nil {
			t.Errorf("cause %v, %d wake-ups, %s: %v", l.last, l.Wakeups(), l, l.Err())
		}
	}
}

// An interrupt that comes between two sleeps ends the second, and only that.
func TestEventIsKeptUntilItIsTold(t *testing.T) {
	l, i, wc, _ := onEvents(t, Config{})
	armed(t, l)
	l.Look()
	atomic.AddUint32(wc, 1)
	i.raise()
	i.raise() // told as one
	if c := l.bell.sleep(l.seenWC, l.seenEpoch, time.Minute); c != rung {
		t.Errorf("cause %v, want rung", c)
	}
	l.Look()
	if c := l.bell.sleep(l.seenWC, l.seenEpoch, time.Millisecond); c != timedOut {
		t.Errorf("the next sleep: cause %v, want timedOut", c)
	}
}

// The first poll requests the interrupt: one from before is lost, and what it
// told of must be found all the same.
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

// A writer that waits for the reader after each element would wait for ever if
// one wake-up were lost: the sleeps are as good as endless.
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
	comes(t, what, f)
}

// A file that cannot be waited for is polled once or twice and then left alone;
// the channel is looked at in growing steps, and interrupts work as ever.
func TestEventsOfABrokenFile(t *testing.T) {
	pipe := func(t *testing.T, keep int) int {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		unix.Close(p[1-keep])
		t.Cleanup(func() { unix.Close(p[keep]) })
		return p[keep]
	}
	for _, c := range []struct {
		what       string
		descriptor func(t *testing.T) int
		want       string
		most       int64 // polls
	}{
		// As a muenfs answers for a channel without a vector.
		{"POLLERR", func(t *testing.T) int { return pipe(t, 1) }, "the channel has no interrupt of its own", 1},
		{"POLLHUP", func(t *testing.T) int { return pipe(t, 0) }, "poll the channel's file: hung up", 1},
		{"POLLNVAL", func(*testing.T) int { return 1 << 20 }, "poll the channel's file: bad file descriptor", 1},
		{"no poll of its own", func(t *testing.T) int {
			fd, err := unix.MemfdCreate("channel", unix.MFD_CLOEXEC)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unix.Close(fd) })
			return fd
		}, "it is always ready", 2 * mostEmpty},
	} {
		t.Run(c.what, func(t *testing.T) {
			testnet.CheckLeaks(t)
			l, _, _ := listen(t, Config{Poll: time.Millisecond, Memory: memory{events: "/muenevents/a", descriptor: c.descriptor(t)}})
			calls := int64(0)
			l.bell.(*events).poll = func(fds []unix.PollFd, timeout *unix.Timespec) (int, error) {
				calls++
				return ppoll(fds, timeout)
			}
			for range mostEmpty + 2 {
				l.Look()
				l.bell.sleep(l.seenWC, l.seenEpoch, time.Microsecond)
			}
			if calls > c.most {
				t.Errorf("%d polls, want %d at most", calls, c.most)
			}
			l.heard = true // of before
			if err := l.Err(); err == nil || !strings.Contains(err.Error(), c.want) || l.Rings() || l.String() != "polling" {
				t.Errorf("%s, rings %t: %v, want %s", l, l.Rings(), err, c.want)
			}
			if d, most := l.next(true); d != firstPoll || most != time.Millisecond {
				t.Errorf("sleeps %v, %v at most", d, most)
			}
			l.Look()
			l.Wait(true)
			if l.last != timedOut {
				t.Errorf("cause %v, want timedOut", l.last)
			}
			mustInterrupt(t, l)
		})
	}
}

// mustInterrupt checks that a sleep that nothing else ends can be interrupted.
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
	mustInterrupt(t, l) // which asks nobody
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
	l.Interrupt() // somebody may be late
	l.Close()
}

func TestEventsPollErrors(t *testing.T) {
	l, i, _, _ := onEvents(t, Config{})
	armed(t, l)
	i.fail = []error{unix.EINTR, nil, unix.ENOMEM}
	for n, want := range []cause{changed, timedOut, changed, timedOut} {
		if c := l.bell.sleep(l.seenWC, l.seenEpoch, time.Microsecond); c != want {
			t.Errorf("sleep %d: cause %v, want %v", n, c, want)
		}
	}
	if err := l.Err(); !errors.Is(err, unix.ENOMEM) || l.Rings() {
		t.Errorf("reason: %v", err)
	}
	mustInterrupt(t, l)
}

// Events with nothing behind them are no reason to stop listening, as long as
// they end, or sometimes have something behind them.
func TestEventsForNothing(t *testing.T) {
	for _, c := range []struct {
		what      string
		keep      func(n int) int
		write     func(n int) bool
		wantHears bool
	}{
		{"one by one", func(int) int { return 0 }, func(int) bool { return false }, true},
		{"two by two", func(int) int { return 1 }, func(int) bool { return false }, false},
		{"two by two, and one", func(n int) int { return min(1, n%(mostEmpty-1)) }, func(int) bool { return false }, true},
		{"two by two, and data", func(int) int { return 1 }, func(n int) bool { return n%(mostEmpty-1) == 0 }, true},
	} {
		l, i, wc, _ := onEvents(t, Config{})
		armed(t, l)
		for n := range 3 * mostEmpty {
			l.Look()
			if c.write(n) {
				atomic.AddUint32(wc, 1)
			}
			i.keep = c.keep(n)
			i.raise()
			if last := l.bell.sleep(l.seenWC, l.seenEpoch, time.Microsecond); c.wantHears && last != rung {
				t.Fatalf("%s: event %d: cause %v, want rung", c.what, n, last)
			}
			i.clear()
		}
		if l.bell.hears() != c.wantHears {
			t.Errorf("%s: hears %t: %v", c.what, l.bell.hears(), l.Err())
		}
	}
}

// A peer of a muenfs is polled until it is heard, and again when it was not.
func TestEventsLengthenAndShorten(t *testing.T) {
	l, i, wc, _ := onEvents(t, Config{Poll: time.Millisecond, Locked: func() bool {
		t.Error("asked for a lock that says nothing of events")
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

// What the process's poller finds, and the event, reach a quiet Listener.
func TestPollerAndEvents(t *testing.T) {
	l, i, wc, _ := onEvents(t, Config{Poll: time.Millisecond})
	armed(t, l)
	quietly := func() chan struct{} {
		settle(l, true)
		l.Look()
		done := wait(l)
		comes(t, "the poller", func() bool { n, _ := quiet.watching(); return n == 1 })
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
	if l.last != rung || !l.Rings() {
		t.Errorf("raised: cause %v", l.last)
	}
	l.heard = false
	done = quietly()
	l.Interrupt()
	<-done
	if l.last != interrupted {
		t.Errorf("interrupted: cause %v", l.last)
	}
	comes(t, "the poller's end", func() bool { n, running := quiet.watching(); return n == 0 && !running })
}

func TestEventsWithoutDescriptors(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	_, err := NewListener(Config{Memory: memory{events: "/muenevents/a"}})
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, unix.EMFILE) || err.Error() != "make eventfd: too many open files" {
		t.Errorf("%v", err)
	}
}
