package doorbell

import (
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/testnet"
)

// settle brings a Listener to its longest sleeps.
func settle(l *Listener, active bool) {
	for {
		if d, most := l.next(active); d == most {
			return
		}
	}
}

func (p *poller) watching() (entries int, running bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.entries), p.running
}

// The poller notices the changes of writers that do not ring, and wakes only
// their readers.
func TestPollerNoticesChanges(t *testing.T) {
	const channels = 8
	var ls [channels]*Listener
	var wcs, epochs [channels]*uint32
	var done [channels]chan struct{}
	for i := range ls {
		ls[i], wcs[i], epochs[i] = listen(t, Config{Poll: time.Millisecond})
		settle(ls[i], true)
		ls[i].Look()
		done[i] = wait(ls[i])
	}
	testnet.Eventually(t, "all in the poller", func() bool { n, running := quiet.watching(); return n == channels && running })
	for i := range ls {
		if i%2 == 0 {
			atomic.AddUint32(wcs[i], 1)
		} else {
			atomic.AddUint32(epochs[i], 1)
		}
		<-done[i]
		if ls[i].last != timedOut || ls[i].Timeouts() != 1 {
			t.Errorf("listener %d: cause %v, %d time-outs", i, ls[i].last, ls[i].Timeouts())
		}
	}
	testnet.Eventually(t, "the poller's end", func() bool { n, running := quiet.watching(); return n == 0 && !running })
}

// A Listener in the poller can still be rung and interrupted.
func TestPollerLeavesTheFutex(t *testing.T) {
	l, wc, _ := listen(t, Config{Poll: time.Millisecond})
	settle(l, true)
	l.Look()
	ringUntil(t, wait(l), func() { Ring(wc) })
	if l.last != rung || l.Rings() {
		t.Errorf("cause %v", l.last)
	}
	settle(l, true)
	l.Look()
	ringUntil(t, wait(l), l.Interrupt)
	if l.last != interrupted {
		t.Errorf("cause %v, want interrupted", l.last)
	}
}

// A change between Look and the sleep ends the sleep.
func TestPollerChangeBeforeSleep(t *testing.T) {
	l, wc, _ := listen(t, Config{Poll: time.Millisecond})
	settle(l, false)
	l.Look()
	atomic.AddUint32(wc, 1)
	l.Wait(false)
	if l.last != changed {
		t.Errorf("cause %v, want changed", l.last)
	}
}

// A region that is gone wakes its own reader, and does not affect the others.
func TestPollerRegionGone(t *testing.T) {
	fd, err := unix.MemfdCreate("channel", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, 64); err != nil {
		t.Fatal(err)
	}
	memory, err := unix.Mmap(fd, 0, 64, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(memory) }()
	var p poller
	add := func(wc, epoch *uint32, seen uint32) *Listener {
		l, err := NewListener(Config{WC: wc, Epoch: epoch})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		p.entries = append(p.entries, &entry{l: l, wc: seen, interval: time.Millisecond})
		return l
	}
	var zero uint32
	still := add(&zero, &zero, 0)
	wc, epoch := Words(memory)
	gone := add(wc, epoch, 0)
	moved := add(&zero, &zero, 1)
	if err := unix.Ftruncate(fd, 0); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if next, more := p.look(now); !more || next != now.Add(time.Millisecond) {
		t.Errorf("next look in %v (%v), want in 1ms", next.Sub(now), more)
	}
	if still.polled.Load() || !gone.polled.Load() || !moved.polled.Load() {
		t.Errorf("woken: %v, %v, %v; want only those with the gone region and with the change",
			still.polled.Load(), gone.polled.Load(), moved.polled.Load())
	}
}
