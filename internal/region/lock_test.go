package region

import (
	"errors"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestLockBetweenProcesses(t *testing.T) {
	dir, path := file(t, 16<<10)
	r := open(t, path, ReadWrite)
	if r.WriterLocked() {
		t.Fatal("a new channel is locked")
	}
	pid, kill := holdLock(t, path)
	if !r.WriterLocked() || run(t, "probe", path) != "true" {
		t.Error("the writer is not detected")
	}
	err := r.Lock()
	wantError(t, err, dir, "channel %DIR/c: another writer holds it: pid "+strconv.Itoa(pid))
	var held *HeldError
	if !errors.As(err, &held) || held.Path != path || held.PID != pid {
		t.Errorf("errors.As gives %+v", held)
	}
	kill()
	if r.WriterLocked() {
		t.Error("a dead writer still holds its lock")
	}
	for range 2 {
		if err := r.Lock(); err != nil {
			t.Fatal(err)
		}
	}
	if !r.WriterLocked() || run(t, "probe", path) != "true" {
		t.Error("our own lock is not detected")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if run(t, "probe", path) != "false" {
		t.Error("the lock survives Close")
	}
}

// For each pair of specs: does a writer on the first keep out one on the
// second, and does a reader of the second detect it?
func TestLockOverlap(t *testing.T) {
	_, path := file(t, 16<<10)
	for _, c := range []struct {
		first, second string
		excluded      bool
	}{
		{"", "", true},
		{"", "@0+4K", true},
		{"", "@8K+64", true},
		{"@0+4K", "", true},
		{"@8K+64", "", true},
		{"@0+4K", "@4K+4K", false},
		{"@4K+4K", "@0+4K", false},
		{"@0+4K", "@0+4K", true},
		{"@0+4K", "@4088+64", true},
		{"@4088+64", "@0+4K", true},
		{"@1000+64", "@1064+64", false}, // windows of one page
		{"@1000+72", "@1064+64", true},
	} {
		pid, kill := holdLock(t, path+c.first)
		r := open(t, path+c.second, ReadWrite)
		err := r.Lock()
		var held *HeldError
		if errors.As(err, &held) != c.excluded || !c.excluded && err != nil {
			t.Errorf("writer on %q, then on %q: %v, want excluded = %v", c.first, c.second, err, c.excluded)
		}
		if held != nil && held.PID != pid {
			t.Errorf("writer on %q, then on %q: pid %d, want %d", c.first, c.second, held.PID, pid)
		}
		r.Close()
		if got := run(t, "probe", path+c.second); got != strconv.FormatBool(c.excluded) {
			t.Errorf("writer on %q, reader on %q: WriterLocked %s", c.first, c.second, got)
		}
		kill()
		// A refused Lock must not keep anything locked.
		r = open(t, path+c.second, ReadWrite)
		if err := r.Lock(); err != nil {
			t.Errorf("writer on %q, later on %q: %v", c.first, c.second, err)
		}
		r.Close()
	}
}

// A refused window must not keep its shared flock, which would keep out a later
// writer of the whole file.
func TestRefusedWindowLeavesNothing(t *testing.T) {
	_, path := file(t, 4096)
	_, kill := holdLock(t, path+"@0+64")
	window := open(t, path+"@0+128", ReadWrite)
	if err := window.Lock(); err == nil {
		t.Fatal("two writers on one window")
	}
	kill()
	if err := open(t, path, ReadWrite).Lock(); err != nil {
		t.Error(err)
	}
}

// Two regions in one process exclude each other like those in two processes,
// and the holder reported is this process.
func TestLockWithinProcess(t *testing.T) {
	_, path := file(t, 4096)
	for _, window := range []string{"", "@8+128"} {
		a, b := open(t, path+window, ReadWrite), open(t, path+window, ReadWrite)
		if err := a.Lock(); err != nil {
			t.Fatal(err)
		}
		var held *HeldError
		if err := b.Lock(); !errors.As(err, &held) || held.PID != os.Getpid() {
			t.Errorf("second writer: %v", err)
		}
		if !b.WriterLocked() || !a.WriterLocked() {
			t.Error("the lock is not detected")
		}
		a.Close()
		if b.WriterLocked() {
			t.Error("the lock survives Close")
		}
		b.Close()
	}
}

// Close releases the lock even while a copy of the descriptor exists, as in a
// child process between fork and exec.
func TestCloseWithCopy(t *testing.T) {
	for _, window := range []string{"", "@8+128"} {
		_, path := file(t, 4096)
		r := open(t, path+window, ReadWrite)
		if err := r.Lock(); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Dup(r.fd)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		r.Close()
		if err := open(t, path, ReadWrite).Lock(); err != nil {
			t.Error(err)
		}
	}
}

func TestLockNeedsWriteAccess(t *testing.T) {
	_, path := file(t, 4096)
	wantError(t, open(t, path, ReadOnly).Lock(), "", "lock channel "+path+": it is open read-only")
}

// Constant probes by readers must neither keep a writer out nor look like one.
func TestProbesDoNotDisturb(t *testing.T) {
	_, path := file(t, 4096)
	for _, window := range []string{"", "@0+64"} {
		stop := make(chan struct{})
		var probing sync.WaitGroup
		r := open(t, path+window, ReadOnly)
		probing.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					r.WriterLocked()
				}
			}
		})
		for range 50 {
			w := open(t, path+window, ReadWrite)
			if err := w.Lock(); err != nil {
				t.Error(err)
			}
			w.Close()
		}
		close(stop)
		probing.Wait()
		if r.WriterLocked() {
			t.Error("a probe left its lock behind")
		}
	}
}

// Lock waits for a probe in progress, but not forever for a permanent lock.
func TestLockWaitsForProbe(t *testing.T) {
	_, path := file(t, 4096)
	reader, w := open(t, path, ReadOnly), open(t, path, ReadWrite)
	defer func() { sleep = time.Sleep }()
	for _, c := range []struct {
		until, want int // the pause in which the probe ends; the number of pauses
		refused     bool
	}{{3, 3, false}, {lockTries - 1, lockTries - 1, false}, {lockTries, lockTries - 1, true}} {
		if err := reader.flock(unix.LOCK_SH); err != nil {
			t.Fatal(err)
		}
		pauses := 0
		sleep = func(time.Duration) {
			if pauses++; pauses == c.until {
				reader.flock(unix.LOCK_UN)
			}
		}
		err := w.Lock()
		var held *HeldError
		if errors.As(err, &held) != c.refused || !c.refused && err != nil || pauses != c.want {
			t.Errorf("probe until pause %d: %v after %d pauses, want %d", c.until, err, pauses, c.want)
		}
		w.unlock()
		reader.flock(unix.LOCK_UN)
	}
}

func TestHeldErrorWithoutPID(t *testing.T) {
	wantError(t, &HeldError{Path: "/x"}, "", "channel /x: another writer holds it: its pid is not visible from here")
	wantError(t, &HeldError{Path: "/x", Shared: true}, "", "channel /x: a process whose pid is not visible from here holds a shared lock on it, as flock -s does, and keeps writers out")
}

// Any process that can read the file can keep a writer out with a shared lock,
// but is not called a writer.
func TestLockAgainstReader(t *testing.T) {
	dir, path := file(t, 4096)
	reader := open(t, path, ReadOnly)
	want := "channel %DIR/c: pid " + strconv.Itoa(os.Getpid()) + " holds a shared lock on it, as flock -s does, and keeps writers out"
	if err := reader.flock(unix.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	wantError(t, open(t, path, ReadWrite).Lock(), dir, want)
	// Such a lock does not affect windows, but one on their range does.
	window := open(t, path+"@64+128", ReadWrite)
	if err := window.Lock(); err != nil {
		t.Error(err)
	}
	// If there is a writer as well, the error names the writer.
	var held *HeldError
	if err := open(t, path, ReadWrite).Lock(); !errors.As(err, &held) || held.Shared {
		t.Errorf("a writer of a window: %v", err)
	}
	window.Close()
	if err := reader.flock(unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	part := open(t, path+"@128+64", ReadOnly)
	if err := part.rangeLock(unix.F_RDLCK); err != nil {
		t.Fatal(err)
	}
	wantError(t, open(t, path+"@64+128", ReadWrite).Lock(), dir, want)
}

func TestParseLock(t *testing.T) {
	for line, want := range map[string]heldLock{
		"\t1: FLOCK  ADVISORY  WRITE 4686 fe:00:9977900 0 EOF": {"FLOCK", true, 9977900, 0, 1<<63 - 1},
		"\t2: OFDLCK ADVISORY  READ -1 00:1a:5 8 71":           {"OFDLCK", false, 5, 8, 71},
	} {
		if got, ok := parseLock(line); !ok || got != want {
			t.Errorf("parseLock(%q) = %+v, %v", line, got, ok)
		}
	}
	for _, line := range []string{
		"", "1: FLOCK  ADVISORY  WRITE 4686 fe:00:9977900 0", "1: FLOCK ADVISORY WRITE 1 a:b:c 0 EOF",
		"1: FLOCK ADVISORY WRITE 1 a:b:1 x EOF", "1: FLOCK ADVISORY WRITE 1 a:b:1 0 x",
	} {
		if got, ok := parseLock(line); ok {
			t.Errorf("parseLock(%q) = %+v", line, got)
		}
	}
}
