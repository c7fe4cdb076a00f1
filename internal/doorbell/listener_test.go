package doorbell

import (
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/testnet"
)

// shared maps a page twice: writable for the writer, read-only for the reader,
// as two processes would.
func shared(t *testing.T) (writer, reader []byte) {
	t.Helper()
	fd, err := unix.MemfdCreate("channel", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct {
		to   *[]byte
		prot int
	}{{&writer, unix.PROT_READ | unix.PROT_WRITE}, {&reader, unix.PROT_READ}} {
		b, err := unix.Mmap(fd, 0, os.Getpagesize(), m.prot, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Munmap(b) })
		*m.to = b
	}
	return writer, reader
}

func listen(t *testing.T, cfg Config) (l *Listener, wc, epoch *uint32) {
	t.Helper()
	writer, reader := shared(t)
	wc, epoch = Words(writer)
	cfg.WC, cfg.Epoch = Words(reader)
	l, err := NewListener(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, wc, epoch
}

// each runs f with futex_waitv and with the fallback for older kernels.
func each(t *testing.T, f func(t *testing.T, prepare func(*Listener))) {
	t.Run("waitv", func(t *testing.T) { f(t, func(*Listener) {}) })
	t.Run("old", func(t *testing.T) { f(t, func(l *Listener) { l.bell.(*futex).old = true }) })
}

func wait(l *Listener) chan struct{} {
	done := make(chan struct{})
	go func() {
		l.Wait(true)
		close(done)
	}()
	return done
}

// ringUntil rings until the sleeper wakes up: a ring before the sleep has no
// effect.
func ringUntil(t *testing.T, done chan struct{}, ring func()) {
	t.Helper()
	for range 10000 {
		ring()
		select {
		case <-done:
			return
		case <-time.After(time.Millisecond):
		}
	}
	t.Fatal("the sleeper did not wake up")
}

func TestRingWakes(t *testing.T) {
	each(t, func(t *testing.T, prepare func(*Listener)) {
		l, wc, _ := listen(t, Config{Locked: held})
		prepare(l)
		l.Look()
		done := wait(l)
		ringUntil(t, done, func() { Ring(wc) })
		if l.Wakeups() == 0 && l.bell.prompt() {
			t.Error("the ring was not counted")
		}
	})
}

func TestEpochRings(t *testing.T) {
	l, _, epoch := listen(t, Config{Locked: held})
	l.Look()
	ringUntil(t, wait(l), func() { Ring(epoch) })
	if l.last != rung {
		t.Errorf("cause %v, want rung", l.last)
	}
}

// A change between Look and Wait must end the sleep.
func TestChangeBeforeWait(t *testing.T) {
	each(t, func(t *testing.T, prepare func(*Listener)) {
		l, wc, _ := listen(t, Config{Locked: held})
		prepare(l)
		l.Look()
		atomic.AddUint32(wc, 1)
		l.Wait(true)
		if l.last != changed {
			t.Errorf("cause %v, want changed", l.last)
		}
	})
	l, _, epoch := listen(t, Config{Locked: held})
	l.Look()
	atomic.AddUint32(epoch, 1)
	l.Wait(true)
	if l.last != changed {
		t.Errorf("epoch: cause %v, want changed", l.last)
	}
}

func TestInterrupt(t *testing.T) {
	each(t, func(t *testing.T, prepare func(*Listener)) {
		l, _, _ := listen(t, Config{Locked: held})
		prepare(l)
		l.Look()
		l.Interrupt() // before the sleep: it must end that sleep
		l.Wait(true)
		if l.last != interrupted {
			t.Errorf("cause %v, want interrupted", l.last)
		}
		l.Look()
		done := wait(l)
		ringUntil(t, done, l.Interrupt)
	})
}

// The lengths of the sleeps, without sleeping.
func TestPollingGrowsAndForgets(t *testing.T) {
	l, _, _ := listen(t, Config{Poll: time.Millisecond})
	var steps []time.Duration
	for range 8 {
		d, _ := l.next(true)
		steps = append(steps, d)
	}
	if steps[0] != firstPoll || steps[1] != 2*firstPoll || steps[7] != time.Millisecond {
		t.Errorf("steps %v", steps)
	}
	l.Found()
	if d, _ := l.next(true); d != firstPoll {
		t.Errorf("after traffic the sleep is %v, want %v", d, firstPoll)
	}
	for range 20 {
		l.next(false)
	}
	if d, _ := l.next(false); d != IdlePoll {
		t.Errorf("inactive: %v, want %v", d, IdlePoll)
	}
}

func TestRingingLengthens(t *testing.T) {
	l, _, _ := listen(t, Config{Poll: time.Millisecond})
	l.last, l.heard = rung, true
	if d, _ := l.next(true); d != firstPoll || l.String() != "futex" {
		t.Errorf("first sleep %v by %s", d, l)
	}
	// Without the lock there may be another writer, or one that does not
	// ring: other processes can ring, too.
	for range 20 {
		l.next(true)
	}
	if d, _ := l.next(true); d != firstRing {
		t.Errorf("sleep %v, want %v", d, firstRing)
	}
	// A timeout that finds work reveals a writer that does not ring.
	l.last = timedOut
	l.Found()
	if d, _ := l.next(true); d != firstPoll || l.String() != "polling" {
		t.Errorf("after a missed ring %v by %s", d, l)
	}
}

func TestLockedWriterRings(t *testing.T) {
	held, asked := true, 0
	l, _, _ := listen(t, Config{Poll: time.Millisecond, Locked: func() bool { asked++; return held }})
	if d, _ := l.next(true); d != firstRing {
		t.Errorf("first sleep %v, want %v", d, firstRing)
	}
	for range 10 {
		l.next(true)
	}
	if d, _ := l.next(true); d != longest || asked != 1 {
		t.Errorf("sleep %v, want %v; asked %d times in one epoch", d, longest, asked)
	}
	held = false
	l.NewEpoch()
	if d, _ := l.next(true); d != firstPoll || asked != 2 {
		t.Errorf("unlocked: %v, asked %d times", d, asked)
	}
	// While the writer is inactive its lock may be taken at any time.
	held = true
	for range 20 {
		l.next(false)
	}
	if !l.Rings() {
		t.Error("did not notice the lock of an inactive writer")
	}
	// The holder may have exited silently while the reader slept.
	for _, active := range []bool{false, true} {
		held = false
		l.last = timedOut
		if d, _ := l.next(active); d > IdlePoll {
			t.Errorf("active %t: the lock is free, and the sleep %v", active, d)
		}
		held = true
		l.last = changed
		l.NewEpoch()
		l.next(true)
	}
	// A timeout that finds work in the same epoch outweighs it.
	l.last = timedOut
	l.Found()
	for range 10 {
		l.next(true)
	}
	if l.Rings() {
		t.Error("a writer that holds the lock but does not ring is trusted again")
	}
}

// Any process that can map the channel can ring. Rings without data change
// nothing for a writer that does not ring.
func TestEmptyRingsAreNotTheWriters(t *testing.T) {
	l, _, _ := listen(t, Config{Poll: time.Millisecond})
	settle(l, true)
	for range 10 {
		l.last = rung
		if d, _ := l.next(true); d != time.Millisecond {
			t.Fatalf("after an empty ring the sleep is %v", d)
		}
	}
	l.last = rung
	l.Found() // this one had data
	if _, most := l.next(true); most != firstRing {
		t.Errorf("after a ring the longest sleep is %v, want %v", most, firstRing)
	}
	l.last = rung
	l.Look()
	if l.Wait(true); l.Rings() {
		t.Error("a writer is assumed to ring although others do")
	}
}

// What one writer did says nothing about the next one.
func TestNoWriterRings(t *testing.T) {
	l, _, _ := listen(t, Config{Poll: time.Millisecond})
	l.last, l.heard = rung, true
	l.NewEpoch() // its last ring announced its end
	for range 20 {
		if d, _ := l.next(false); d > IdlePoll {
			t.Fatalf("sleep %v, want %v at most", d, IdlePoll)
		}
	}
}

// Wait reports what may have been a sign of a writer, and nothing else.
func TestWaitTellsSigns(t *testing.T) {
	l, wc, _ := listen(t, Config{Poll: time.Millisecond})
	l.Look()
	if l.Wait(true) {
		t.Error("a timeout is taken for a sign")
	}
	l.Interrupt()
	if l.Wait(true) {
		t.Error("an interrupt is taken for a sign")
	}
	atomic.AddUint32(wc, 1)
	if !l.Wait(true) {
		t.Error("a change is not taken for a sign")
	}
	settle(l, true)
	l.Look()
	signs := make(chan bool)
	go func() { signs <- l.Wait(true) }()
	testnet.Eventually(t, "the poller", func() bool { n, _ := quiet.watching(); return n == 1 })
	atomic.AddUint32(wc, 1)
	if !<-signs {
		t.Error("what the poller saw is not taken for a sign")
	}
}

// If a ring announced an epoch, the new writer rings.
func TestNewEpochKeepsItsRing(t *testing.T) {
	l, _, _ := listen(t, Config{Poll: time.Millisecond})
	l.last, l.heard = rung, true
	l.NewEpoch()
	if l.next(true); !l.Rings() {
		t.Error("the ring that announced the epoch is forgotten")
	}
	l.last = changed
	l.NewEpoch()
	if l.next(true); l.Rings() {
		t.Error("knowledge about the old writer is applied to the new one")
	}
}

func TestWaitDoesNotAllocate(t *testing.T) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, m := range []Memory{memory{futex: true}, memory{}, memory{events: "/muenevents/a", descriptor: fd}} {
		l, wc, _ := listen(t, Config{Poll: time.Millisecond, Memory: m})
		n := testing.AllocsPerRun(100, func() {
			l.Look()
			Ring(wc)
			l.Found()
			l.Wait(true)
			l.Look()
			atomic.AddUint32(wc, 1)
			l.Interrupt()
			l.Wait(true)
		})
		if n != 0 {
			t.Errorf("%v: %v allocations", m, n)
		}
	}
}

// The cost of a ring without listeners, paid once per burst.
func BenchmarkRingNobody(b *testing.B) {
	var word uint32
	for b.Loop() {
		Ring(&word)
	}
}
