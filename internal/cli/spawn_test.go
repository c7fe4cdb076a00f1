package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// flockFile makes a file with an exclusive lock on it.
func flockFile(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Create(path)
	if err == nil {
		t.Cleanup(func() { f.Close() })
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestBackgroundProcess: it keeps nothing open that its starter was given, and
// has the name of the program, whatever that is started from.
func TestBackgroundProcess(t *testing.T) {
	h := newHost(t)
	path := filepath.Join(t.TempDir(), "lock")
	lock := flockFile(t, path)
	c := h.command(append([]string{"load"}, pair("net0", "a", "b")...)...)
	c.ExtraFiles = []*os.File{lock, lock, lock, lock, lock, lock, lock}
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	lock.Close()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("the lock of the caller is held still: %v", err)
	}

	proc := fmt.Sprintf("/proc/%d", h.pid())
	threads, err := filepath.Glob(proc + "/task/*/comm")
	if err != nil || len(threads) == 0 {
		t.Fatalf("threads %q, %v", threads, err)
	}
	for _, comm := range append(threads, proc+"/comm") {
		if b, err := os.ReadFile(comm); err == nil && string(b) != "muennet\n" {
			t.Errorf("%s holds %q", comm, b)
		}
	}
	if b, err := os.ReadFile(proc + "/cmdline"); err != nil || !strings.HasPrefix(string(b), "muennet\x00run\x00") {
		t.Errorf("command line %q, %v", b, err)
	}
}

// TestCloseOnExec: with and without close_range(2).
func TestCloseOnExec(t *testing.T) {
	for name, mark := range map[string]func(int){"close_range": closeOnExec, "each": closeOnExecEach} {
		var fds [2]int
		for i := range fds {
			fd, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			fds[i] = fd
		}
		mark(max(fds[0], fds[1]))
		for _, fd := range fds {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			want := 0
			if fd == max(fds[0], fds[1]) {
				want = unix.FD_CLOEXEC
			}
			if err != nil || flags != want {
				t.Errorf("%s: descriptor %d of %v has flags %d, %v, want %d", name, fd, fds, flags, err, want)
			}
		}
	}
}

// TestLoadTellsWhy: where no daemon can start, load gives the reason of the
// last one that tried.
func TestLoadTellsWhy(t *testing.T) {
	t.Setenv(mainEnv, "1")
	defer func(n int) { startTries = n }(startTries)
	startTries = 2
	path := filepath.Join(t.TempDir(), "control.sock")
	flockFile(t, path+".lock")
	code, _, stderr := call(t, append([]string{"load", "--control", path}, pair("net0", "a", "b")...)...)
	if want := "muennet: already running: control socket " + path + " is in use by another process\n"; code != exitFailed || stderr != want {
		t.Errorf("exit %d, %q, want %q", code, stderr, want)
	}
}
