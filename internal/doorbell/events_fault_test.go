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

// A file that cannot be waited on is polled once or twice and then left alone.
// The looks at the channel get rarer, and interrupts still work.
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
		// How a muenfs reports a channel without a vector.
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
		}, "it is always ready", 2 * maxEmpty},
	} {
		t.Run(c.what, func(t *testing.T) {
			testnet.CheckLeaks(t)
			l, _, _ := listen(t, Config{Poll: time.Millisecond, Memory: memory{events: "/muenevents/a", descriptor: c.descriptor(t)}})
			calls := int64(0)
			l.bell.(*events).poll = func(fds []unix.PollFd, timeout *unix.Timespec) (int, error) {
				calls++
				return ppoll(fds, timeout)
			}
			for range maxEmpty + 2 {
				l.Look()
				l.bell.sleep(l.seenWC, l.seenEpoch, time.Microsecond)
			}
			if calls > c.most {
				t.Errorf("%d polls, want %d at most", calls, c.most)
			}
			l.heard = true // from before
			if err := l.Err(); err == nil || !strings.Contains(err.Error(), c.want) || l.Rings() || l.String() != "polling" {
				t.Errorf("%s, rings %t: %v, want %s", l, l.Rings(), err, c.want)
			}
			if d, most := l.next(true); d != firstPoll || most != time.Millisecond {
				t.Errorf("sleeps %v, %v at most", d, most)
			}
			timesOut(t, l)
			mustInterrupt(t, l)
		})
	}
}

func TestEventsPollErrors(t *testing.T) {
	l, i, _, _ := onEvents(t, Config{})
	armed(t, l)
	i.fail = []error{unix.EINTR, nil, unix.ENOMEM}
	for n, want := range []cause{changed, timedOut, changed} {
		if c := l.bell.sleep(l.seenWC, l.seenEpoch, time.Microsecond); c != want {
			t.Errorf("sleep %d: cause %v, want %v", n, c, want)
		}
	}
	timesOut(t, l)
	if err := l.Err(); !errors.Is(err, unix.ENOMEM) || l.Rings() {
		t.Errorf("reason: %v", err)
	}
	mustInterrupt(t, l)
}

// Events without data are no reason to stop listening, as long as they end, or
// some of them have data.
func TestEventsForNothing(t *testing.T) {
	for _, c := range []struct {
		what       string
		keep       func(n int) int
		write      func(n int) bool
		wantUsable bool
	}{
		{"one by one", func(int) int { return 0 }, func(int) bool { return false }, true},
		{"two by two", func(int) int { return 1 }, func(int) bool { return false }, false},
		{"two by two, and one", func(n int) int { return min(1, n%(maxEmpty-1)) }, func(int) bool { return false }, true},
		{"two by two, and data", func(int) int { return 1 }, func(n int) bool { return n%(maxEmpty-1) == 0 }, true},
	} {
		l, i, wc, _ := onEvents(t, Config{})
		armed(t, l)
		for n := range 3 * maxEmpty {
			l.Look()
			if c.write(n) {
				atomic.AddUint32(wc, 1)
			}
			i.keep = c.keep(n)
			i.raise()
			if last := l.bell.sleep(l.seenWC, l.seenEpoch, time.Microsecond); c.wantUsable && last != rung {
				t.Fatalf("%s: event %d: cause %v, want rung", c.what, n, last)
			}
			i.clear()
		}
		if l.bell.usable() != c.wantUsable {
			t.Errorf("%s: usable %t: %v", c.what, l.bell.usable(), l.Err())
		}
	}
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
