package doorbell

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/testnet"
)

func ringer(t *testing.T, region []byte, m Memory) *Ringer {
	t.Helper()
	r := NewRinger(region, m)
	t.Cleanup(r.Close)
	return r
}

func TestRingerFutex(t *testing.T) {
	for _, m := range []Memory{nil, memory{futex: true}} {
		l, _, _ := listen(t, Config{Locked: held})
		writer := l.cfg.WC // the same page, mapped read-only: enough to wake
		r := &Ringer{event: -1}
		r.words.Store(&words{writer, l.cfg.Epoch})
		r.futex.Store(NewRinger(make([]byte, 64), m).futex.Load())
		l.Look()
		woken := false
		ringUntil(t, wait(l), func() { woken = r.Ring() || woken })
		if !woken || r.Rings() == 0 || r.Errors() != 0 || !r.Tells() || r.String() != "futex" || r.Err() != nil {
			t.Errorf("woken %t, %d rings, %d errors, tells %t, %s: %v", woken, r.Rings(), r.Errors(), r.Tells(), r, r.Err())
		}
		l.Look()
		ringUntil(t, wait(l), r.RingAll)
		if l.last != rung {
			t.Errorf("cause %v, want rung", l.last)
		}
	}
}

// One byte for each ring, and one descriptor for all of them, closed by Close.
func TestRingerEvents(t *testing.T) {
	testnet.CheckLeaks(t)
	path := eventPath(t)
	received := eventFile(t, path)
	r := ringer(t, make([]byte, 64), memory{events: path})
	for range 3 {
		if r.Ring() {
			t.Error("an event cannot tell whether a reader slept")
		}
	}
	r.RingAll()
	if n := received(); n != 4 || r.Rings() != 4 || r.Errors() != 0 {
		t.Errorf("%d events received, %d sent, %d errors", n, r.Rings(), r.Errors())
	}
	if r.Tells() || r.String() != "muenfs events" || r.Err() != nil {
		t.Errorf("tells %t, %s: %v", r.Tells(), r, r.Err())
	}
	if flags, err := unix.FcntlInt(uintptr(r.event), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v: a child process would inherit the event file", flags, err)
	}
	r.Close()
	r.Ring()
	r.RingAll()
	if r.Rings() != 4 || r.String() != "polling" {
		t.Errorf("closed: %d rings by %s", r.Rings(), r)
	}
}

// A channel without an event file, or whose event file appears later.
func TestRingerWithoutEventFile(t *testing.T) {
	path := eventPath(t)
	r := ringer(t, make([]byte, 64), memory{events: path, futex: true})
	r.Ring()
	r.RingAll()
	if r.Rings() != 0 || r.Errors() != 0 || r.Tells() || r.String() != "polling" {
		t.Errorf("%d rings, %d errors, tells %t, %s", r.Rings(), r.Errors(), r.Tells(), r)
	}
	if err := r.Err(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "open "+path+": ") {
		t.Errorf("reason: %v", err)
	}
	received := eventFile(t, path)
	r.Ring() // must not try to open the file in each burst
	if r.Rings() != 0 {
		t.Error("tried to open the event file within an epoch")
	}
	r.RingAll()
	if n := received(); n != 1 || r.String() != "muenfs events" || r.Err() != nil {
		t.Errorf("%d events by %s: %v", n, r, r.Err())
	}
}

// An event that is not read must not stop the writer.
func TestRingerNeverBlocks(t *testing.T) {
	path := eventPath(t)
	received := eventFile(t, path)
	r := ringer(t, make([]byte, 64), memory{events: path})
	for r.Errors() == 0 {
		r.Ring()
	}
	if err := r.Err(); !errors.Is(err, unix.EAGAIN) || !strings.Contains(err.Error(), "write "+path+": ") {
		t.Errorf("full: %v", err)
	}
	received()
	before := r.Rings()
	r.Ring()
	if r.Rings() != before+1 || r.Errors() != 1 || r.Err() != nil {
		t.Errorf("emptied: %d rings after %d, %d errors: %v", r.Rings(), before, r.Errors(), r.Err())
	}
}

// A broken event file is counted and reported, but does not stop the writer.
func TestRingerBrokenEventFile(t *testing.T) {
	broken := eventPath(t)
	t.Run("listener", func(t *testing.T) { // closes the pipe at the end of the subtest
		eventFile(t, broken)
	})
	for _, c := range []struct {
		what, path, name, want string
		errors                 uint64
	}{
		{"a directory", t.TempDir(), "polling", "is a directory", 0},
		{"a pipe without a reader", broken, "polling", "no such device or address", 0},
		{"a device that is full", "/dev/full", "muenfs events", "no space left on device", 2},
	} {
		r := ringer(t, make([]byte, 64), memory{events: c.path})
		r.Ring()
		r.RingAll()
		if err := r.Err(); err == nil || !strings.HasSuffix(err.Error(), c.path+": "+c.want) {
			t.Errorf("%s: %v, want %s", c.what, err, c.want)
		}
		if r.Rings() != 0 || r.Errors() != c.errors || r.String() != c.name {
			t.Errorf("%s: %d rings, %d errors by %s", c.what, r.Rings(), r.Errors(), r)
		}
	}
}

// On memory without futexes none is rung, whether that is known in advance or
// found out.
func TestRingerWithoutFutexes(t *testing.T) {
	for _, known := range []bool{true, false} {
		r := ringer(t, pageFrames(t), memory{futex: !known})
		if r.Tells() == known {
			t.Errorf("known %t: tells %t", known, r.Tells())
		}
		for range 3 {
			if r.Ring() {
				t.Error("a ring on the vvar page woke a sleeper")
			}
			r.RingAll()
		}
		if r.Tells() || r.Rings() != 0 || r.Errors() != 0 || r.String() != "polling" || r.Err() != errNoFutex {
			t.Errorf("known %t: tells %t, %d rings, %d errors by %s: %v", known, r.Tells(), r.Rings(), r.Errors(), r, r.Err())
		}
	}
}

// A shrunk region looks like memory without futexes, but it may come back.
func TestRingerRegionGone(t *testing.T) {
	region, resize := shrinking(t)
	r := ringer(t, region, nil)
	resize(0)
	r.Ring()
	r.RingAll()
	if r.Rings() != 0 || r.Errors() != 0 || r.String() != "futex" {
		t.Errorf("gone: %d rings, %d errors by %s", r.Rings(), r.Errors(), r)
	}
	resize(4096)
	r.Ring()
	if r.Rings() != 1 || r.Err() != nil {
		t.Errorf("back: %d rings: %v", r.Rings(), r.Err())
	}
}

func TestRingDoesNotAllocate(t *testing.T) {
	path := eventPath(t)
	received := eventFile(t, path)
	for _, m := range []Memory{memory{futex: true}, memory{}, memory{events: path}} {
		r := ringer(t, make([]byte, 64), m)
		if n := testing.AllocsPerRun(100, func() { r.Ring() }); n != 0 {
			t.Errorf("%s: %v allocations", r, n)
		}
	}
	received()
}

// A ring during Rebind may still use the old channel, whose memory may only be
// unmapped afterwards.
func TestRingerRebind(t *testing.T) {
	old, _ := shrinking(t)
	now, _ := shrinking(t)
	r := ringer(t, old, nil)
	wc, epoch := Words(now)
	l, err := NewListener(Config{WC: wc, Epoch: epoch, Locked: held})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)

	r.ringing.Add(1) // a ring in progress
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Rebind(now)
	}()
	select {
	case <-done:
		t.Error("did not wait for the ring in progress")
	case <-time.After(20 * time.Millisecond):
	}
	r.ringing.Add(-1)
	<-done
	l.Look()
	woken := false
	ringUntil(t, wait(l), func() { woken = r.Ring() || woken })
	if !woken || r.ringing.Load() != 0 {
		t.Errorf("woken %t, %d rings in progress", woken, r.ringing.Load())
	}
}
