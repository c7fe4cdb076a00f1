package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lastSignal is the highest there is (SIGRTMAX).
const lastSignal = 64

// The signals that do not leave `muennet run` as it is, by what they do.
var (
	endSignals   = []syscall.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGTERM}
	traceSignals = []syscall.Signal{unix.SIGQUIT, unix.SIGILL, unix.SIGTRAP, unix.SIGABRT, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGSYS}
	pauseSignals = []syscall.Signal{unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU}
)

// TestSignals sends every signal there is to a running muennet.
func TestSignals(t *testing.T) {
	// A process that ignores HUP, as under nohup(1), hands that on; one that
	// catches it does not.
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP)
	h := newHost(t)
	parameters := pair("net0", "a", "b")
	for _, s := range endSignals {
		c, _ := h.run(parameters...)
		if err := c.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err != nil {
			t.Errorf("%v: %v", s, err)
		}
		h.wantLinks()
	}
	for _, s := range traceSignals {
		c, log := h.run(parameters...)
		if err := c.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		trace, _ := io.ReadAll(log)
		if c.Wait() == nil || len(trace) == 0 {
			t.Errorf("%v: ended well, with %d bytes of a stack trace", s, len(trace))
		}
		h.wantLinks("net0")
		h.must("unload")
	}

	c, _ := h.run(parameters...)
	for s := syscall.Signal(1); s <= lastSignal; s++ {
		if s == unix.SIGKILL || slices.Contains(endSignals, s) || slices.Contains(traceSignals, s) {
			continue
		}
		if err := c.Process.Signal(s); err != nil {
			t.Fatalf("%d (%v) or one before has ended it: %v", int(s), s, err)
		}
		if slices.Contains(pauseSignals, s) {
			c.Process.Signal(unix.SIGCONT)
		}
		h.must("show", "net0")
	}
	c.Process.Signal(unix.SIGTERM)
	if err := c.Wait(); err != nil {
		t.Errorf("the end: %v", err)
	}
	h.wantLinks()
}

// TestHangupIgnored: a muennet in the background has no terminal, and one that
// nohup(1) has started keeps what that set.
func TestHangupIgnored(t *testing.T) {
	t.Run("background", func(t *testing.T) {
		h := newHost(t)
		h.load("net0", "a", "b")
		h.load("net1", "c", "d")
		pid := h.pid()
		if err := unix.Kill(pid, unix.SIGHUP); err != nil {
			t.Fatal(err)
		}
		h.must("unload", "net0")
		if got := h.pid(); got != pid {
			t.Errorf("pid %d, then %d", pid, got)
		}
	})
	t.Run("nohup", func(t *testing.T) {
		h := newHost(t)
		c := h.command()
		c.Path, c.Args = "/bin/sh", []string{"sh", "-c", fmt.Sprintf(`trap "" HUP; exec /proc/%d/exe run`, os.Getpid())}
		h.ready(c)
		if err := c.Process.Signal(unix.SIGHUP); err != nil {
			t.Fatal(err)
		}
		h.must("show")
		c.Process.Signal(unix.SIGTERM)
		if err := c.Wait(); err != nil {
			t.Errorf("the end: %v", err)
		}
	})
}

// TestStopIsNotCut: a signal more does not leave half of the work undone.
func TestStopIsNotCut(t *testing.T) {
	h := newHost(t)
	c, _ := h.run("name=n0,n1,n2", "in=a,b,c", "reader_protocol=1,1,1")
	go func() {
		for c.Process.Signal(unix.SIGTERM) == nil { // until it is gone
		}
	}()
	if err := c.Wait(); err != nil {
		t.Errorf("run: %v", err)
	}
	h.wantLinks()
}

// TestStopThatHangs: it can be ended after all.
func TestStopThatHangs(t *testing.T) {
	const hangs = "MUENNET_TEST_HANGS"
	if os.Getenv(hangs) != "" {
		ctx := stopOnSignal(0)
		os.Stdout.WriteString("r")
		<-ctx.Done()
		os.Stdout.WriteString("s")
		select {}
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestStopThatHangs$")
	cmd.Env = append(os.Environ(), hangs+"=1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	read := func(want byte) {
		var b [1]byte
		if _, err := io.ReadFull(out, b[:]); err != nil || b[0] != want {
			t.Fatalf("read %q, %v, want %q", b, err, want)
		}
	}
	read('r')
	cmd.Process.Signal(unix.SIGTERM)
	read('s')
	// Its patience ends about now. The pause is for the Go runtime, whose handler
	// overflows its stack in a flood of signals that are to end it.
	go func() {
		for cmd.Process.Signal(unix.SIGTERM) == nil {
			time.Sleep(10 * time.Millisecond)
		}
	}()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != unix.SIGTERM {
		t.Errorf("ended with %v", err)
	}
}

// TestLogPipeCloses: nothing that is logged afterwards ends muennet.
func TestLogPipeCloses(t *testing.T) {
	h := newHost(t)
	c, log := h.run("--log-level", "debug")
	log.Close()
	h.load("net0", "a", "b") // is logged
	h.must("show", "net0")
	c.Process.Signal(unix.SIGTERM)
	if err := c.Wait(); err != nil {
		t.Errorf("run: %v", err)
	}
	h.wantLinks()
}
