package cli

import (
	"fmt"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLastInterface: a muennet that load started ends with its last interface,
// by whatever removes it, and leaves nothing behind. So ifup and ifdown are
// enough.
func TestLastInterface(t *testing.T) {
	h := newHost(t)
	for range 3 { // without a pause
		h.load("net0", "a", "b")
		h.load("net1", "c", "d")
		pid := h.pid()
		h.must("unload", "net0")
		if got := h.pid(); got != pid {
			t.Errorf("pid %d, then %d", pid, got)
		}
		h.must("unload", "net1")
		if left := h.files(); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	}
	h.load("net0", "a", "b")
	ended := h.pidfd()
	link := h.ns.Link()
	if err := link.Delete(h.ns.Index("net0")); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(ended), Events: unix.POLLIN}}, -1); err != nil {
		t.Fatal(err)
	}
	if left := h.files(); len(left) > 0 {
		t.Errorf("left behind by ip link delete: %q", left)
	}
}

// pidfd is that of the daemon.
func (h *host) pidfd() int {
	h.t.Helper()
	fd, err := unix.PidfdOpen(h.pid(), 0)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// TestRunKeepsRunning: run ends when it is told to, with or without interfaces.
func TestRunKeepsRunning(t *testing.T) {
	h := newHost(t)
	c, _ := h.run(pair("net0", "a", "b")...)
	pid := h.pid()
	h.must("unload", "net0")
	h.load("net0", "a", "b")
	if got := h.pid(); got != pid {
		t.Errorf("pid %d, then %d", pid, got)
	}
	h.must("unload")
	if err := c.Wait(); err != nil {
		t.Errorf("run: %v", err)
	}
}

// TestLoadWhileEnding: loads that meet a muennet that is ending start another.
func TestLoadWhileEnding(t *testing.T) {
	h := newHost(t)
	var wg sync.WaitGroup
	for i, out := range []string{"a", "b", "c", "d"} {
		name := fmt.Sprintf("net%d", i)
		wg.Go(func() {
			for range 8 {
				for _, args := range [][]string{{"load", "name=" + name, "out=" + out, "writer_protocol=1"}, {"unload", name}} {
					if code, _, stderr := h.muennet(args...); code != exitDone {
						t.Errorf("%q: exit %d, %s", args, code, stderr)
					}
				}
			}
		})
	}
	wg.Wait()
	h.wantLinks()
	if left := h.files(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
