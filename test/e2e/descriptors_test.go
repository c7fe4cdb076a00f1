package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/testnet"
)

// limited prepares muennet with at most so many descriptors, of which it begins
// with soft.
func (h *host) limited(soft, hard int, args ...string) *testnet.Cmd {
	h.t.Helper()
	args = append([]string{fmt.Sprintf("--nofile=%d:%d", soft, hard), program, "--control", h.control, "--channels", h.channels}, args...)
	return h.Command(testnet.Need(h.t, "prlimit"), args...)
}

// With any number of descriptors muennet either carries packets, or says what
// is missing and leaves nothing behind.
func TestFewDescriptors(t *testing.T) {
	for _, flags := range []string{"", "net_hdr", "eth_dev"} {
		t.Run("flags="+flags, func(t *testing.T) {
			begin(t)
			dir := makeChannels(t, "ab", "ba")
			p := &pair{newHost(t, dir), newHost(t, dir)}
			params := []string{"name=net0", "flags=" + flags, "reader_protocol=12", "writer_protocol=12"}
			p.b.start(append(params, "in=ab", "out=ba")...)
			limit := 10
			for !p.starts(limit, append(params, "in=ba", "out=ab")) {
				limit++
			}
			if limit < 20 || limit > 64 {
				t.Errorf("it takes %d descriptors", limit)
			}
			p.up()
			if flags != "" { // raw carries no IP packets
				p.a.MustRun("ping", "-c", "3", "-i", "0.01", "-W", "20", addrB)
			}
			p.a.must("show", "net0")
		})
	}
}

// starts starts the daemon of a. False: it ended, with an error and no trace.
func (p *pair) starts(limit int, params []string) bool {
	h := p.a
	h.t.Helper()
	log := &testnet.Buffer{}
	c := h.limited(limit, limit, append([]string{"run"}, params...)...)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		h.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	ready := false
	testnet.Eventually(h.t, "muennet run answers or ends", func() bool {
		select {
		case <-ended:
			return true
		default:
			ready = h.pid() == c.Process.Pid
			return ready
		}
	})
	if ready {
		h.daemon, h.log = c, log
		h.t.Cleanup(func() {
			if h.daemon == c {
				_ = c.Process.Signal(unix.SIGTERM)
				<-ended
			}
		})
		return true
	}
	if code := c.ProcessState.ExitCode(); code != 1 || !strings.Contains(log.String(), "too many open files") {
		h.t.Errorf("limit %d: exit code %d, %s", limit, code, log)
	}
	if names := interfaces(h.t, h); !slices.Equal(names, []string{"lo"}) {
		h.t.Fatalf("limit %d: interfaces %v", limit, names)
	}
	left, err := filepath.Glob(h.control + "*")
	if err != nil {
		h.t.Fatal(err)
	}
	if left = slices.DeleteFunc(left, func(name string) bool { return strings.HasSuffix(name, ".lock") }); len(left) > 0 {
		h.t.Errorf("limit %d: files %v", limit, left)
	}
	return false
}

// The process may have as many descriptors as its hard limit says, not only as
// many as its soft limit says, in the foreground and in the background.
func TestSoftLimitIsRaised(t *testing.T) {
	begin(t)
	h := newHost(t, makeChannels(t, "a", "b"))
	const hard = "4000"
	params := []string{"name=net0", "out=a", "writer_protocol=12", "flags=net_hdr"}
	check := func(pid int) {
		t.Helper()
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(limits)) {
			if f := strings.Fields(line); strings.HasPrefix(line, "Max open files") && (f[3] != "3999" && f[3] != hard || f[4] != hard) {
				t.Errorf("process %d: %s", pid, line)
			}
		}
	}
	if r := h.run(h.limited(20, 4000, append([]string{"load"}, params...)...)); r.code != 0 {
		t.Fatalf("load: %+v", r)
	}
	check(h.pid())
	h.must("unload")
	c := h.limited(20, 4000, append([]string{"run"}, params...)...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "muennet run answers", func() bool { return h.pid() == c.Process.Pid })
	check(c.Process.Pid)
	h.awaitShow("net0", "net0", func(s api.Interface) bool { return s.Marking != nil && s.Marking.Outgoing == "active" })
	if err := c.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}
