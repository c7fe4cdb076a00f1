package doorbell

import (
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/testnet"
)

// Memory that is known to have no bell: there are timeouts, interrupts, and the
// process's poller.
func TestMemoryWithoutBell(t *testing.T) {
	l, wc, _ := listen(t, Config{Poll: time.Millisecond, Memory: memory{}, Locked: func() bool {
		t.Error("asked for the lock although there is no futex")
		return true
	}})
	if d, most := l.next(true); d != firstPoll || most != time.Millisecond || l.Rings() {
		t.Errorf("sleeps %v, %v at most, rings %t", d, most, l.Rings())
	}
	if l.String() != "polling" || l.Err() != errNoFutex {
		t.Errorf("%s: %v", l, l.Err())
	}
	timesOut(t, l)
	mustInterrupt(t, l)
	settle(l, true)
	l.Look()
	done := wait(l)
	testnet.Eventually(t, "the poller", func() bool { n, _ := quiet.watching(); return n == 1 })
	Ring(l.cfg.WC) // which has no listeners
	atomic.AddUint32(wc, 1)
	<-done
	if l.last != timedOut || l.Wakeups() != 0 {
		t.Errorf("cause %v, %d wake-ups", l.last, l.Wakeups())
	}
}

// The same if only the kernel's refusal reveals it: once, and for good.
func TestFutexesThatDoNotWork(t *testing.T) {
	each(t, func(t *testing.T, prepare func(*Listener)) {
		wc, epoch := Words(pageFrames(t))
		l, err := NewListener(Config{WC: wc, Epoch: epoch, Poll: time.Millisecond, Locked: func() bool { return true }})
		if err != nil {
			t.Fatal(err)
		}
		prepare(l)
		if l.next(true); !l.Rings() || l.Err() != nil {
			t.Errorf("before: rings %t, %v", l.Rings(), l.Err())
		}
		l.Look()
		l.Wait(true)
		if l.last != changed || l.Err() != errNoFutex {
			t.Errorf("cause %v: %v", l.last, l.Err())
		}
		// The lock is held, but no longer means anything.
		l.Found()
		if d, most := l.next(true); d != firstPoll || most != time.Millisecond || l.Rings() || l.String() != "polling" {
			t.Errorf("sleeps %v, %v at most, rings %t by %s", d, most, l.Rings(), l)
		}
		timesOut(t, l)
		if !l.bell.prompt() {
			t.Error("a sleep on the private word cannot be interrupted in time")
		}
		mustInterrupt(t, l)
	})
}

// A shrunk region fails in the same way. The caller's look notices, and the
// bell works again when the region is back.
func TestFutexOfARegionThatIsGone(t *testing.T) {
	each(t, func(t *testing.T, prepare func(*Listener)) {
		region, resize := shrinking(t)
		wc, epoch := Words(region)
		l, err := NewListener(Config{WC: wc, Epoch: epoch, Locked: held})
		if err != nil {
			t.Fatal(err)
		}
		prepare(l)
		l.Look()
		resize(0)
		l.Wait(true)
		if l.last != changed || l.Err() != nil {
			t.Errorf("gone: cause %v: %v", l.last, l.Err())
		}
		resize(4096)
		l.Look()
		ringUntil(t, wait(l), func() { Ring(wc) })
		if l.bell.prompt() && l.last != rung { // else there is no telling
			t.Errorf("back: cause %v, want rung", l.last)
		}
	})
}

// What a Listener checks during a sleep may be gone as well.
func TestWordsThatAreGone(t *testing.T) {
	region, resize := shrinking(t)
	wc, epoch := Words(region)
	w := words{wc, epoch}
	if w.differ(0, 0) || !w.differ(1, 0) || !w.differ(0, 1) || !w.readable() {
		t.Error("words of an intact region")
	}
	resize(0)
	if !w.differ(0, 0) || w.readable() {
		t.Error("read the words of a region that is gone")
	}
}

// A signal must not be taken for a timeout without data.
func TestNapEndsBySignal(t *testing.T) {
	var n nap
	tid := make(chan int)
	done := make(chan cause)
	go func() {
		tid <- unix.Gettid()
		done <- n.sleep(0, 0, time.Minute)
	}()
	thread := <-tid
	for {
		select {
		case c := <-done:
			if c != changed {
				t.Errorf("cause %v, want changed", c)
			}
			return
		case <-time.After(time.Millisecond):
			// The signal by which Go interrupts its own threads.
			if err := unix.Tgkill(unix.Getpid(), thread, unix.SIGURG); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// After an unknown error the bell sleeps: it neither disables itself nor spins.
func TestFutexUnknownError(t *testing.T) {
	l, _, _ := listen(t, Config{})
	f := l.bell.(*futex)
	// futex(2) requires aligned words: EINVAL.
	f.words.wc = (*uint32)(unsafe.Add(unsafe.Pointer(f.words.wc), 1))
	timesOut(t, l)
	if !f.usable() {
		t.Error(f.fault())
	}
	f.interrupt()
	if c := f.sleep(0, 0, time.Minute); c != interrupted {
		t.Errorf("cause %v, want interrupted", c)
	}
}
