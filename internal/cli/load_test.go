package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/client"
	"github.com/muennet/muennet/internal/daemon"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
)

// host is a network namespace with channels and a control socket of its own.
type host struct {
	t       *testing.T
	ns      *testnet.NS
	dir     string
	control string
}

func newHost(t *testing.T) *host {
	testnet.Privileged(t)
	dir := t.TempDir()
	h := &host{t: t, ns: testnet.New(t), dir: dir, control: filepath.Join(dir, "control.sock")}
	for _, c := range []string{"a", "b", "c", "d"} {
		if err := region.Create(filepath.Join(dir, "ch"), c, 64<<10, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if code, _, stderr := h.muennet("unload"); code != exitDone && !strings.Contains(stderr, "nothing left behind") {
			t.Errorf("unload at the end: %s", stderr)
		}
	})
	return h
}

func (h *host) command(args ...string) *testnet.Cmd {
	c := h.ns.Command("/proc/self/exe", args...)
	c.Env = append(os.Environ(), mainEnv+"=1", "MUENNET_CONTROL="+h.control, "MUENNET_CHANNELS="+filepath.Join(h.dir, "ch"))
	return c
}

// muennet runs a command in the namespace.
func (h *host) muennet(args ...string) (code int, stdout, stderr string) {
	h.t.Helper()
	c := h.command(args...)
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), o.String(), e.String()
}

func (h *host) must(args ...string) string {
	h.t.Helper()
	code, stdout, stderr := h.muennet(args...)
	if code != exitDone || stderr != "" {
		h.t.Fatalf("muennet %q: exit %d, %s", args, code, stderr)
	}
	return stdout
}

func (h *host) wantLinks(want ...string) {
	h.t.Helper()
	if got := h.ns.Names(); !slices.Equal(got, want) {
		h.t.Errorf("interfaces are %q, want %q", got, want)
	}
}

// pid is that of the daemon.
func (h *host) pid() int {
	h.t.Helper()
	v, err := client.New(h.control).Version(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return v.PID
}

func pair(name, in, out string) []string {
	return []string{"name=" + name, "in=" + in, "out=" + out, "flags=net_hdr", "reader_protocol=12", "writer_protocol=12"}
}

func (h *host) load(name, in, out string) {
	h.t.Helper()
	h.must(append([]string{"load"}, pair(name, in, out)...)...)
}

func TestLoadShowUnload(t *testing.T) {
	h := newHost(t)
	h.load("net0", "a", "b")
	h.wantLinks("net0")
	pid := h.pid()
	h.load("net1", "c", "d")
	if got := h.pid(); got != pid {
		t.Errorf("the second load has started another daemon: %d, %d", pid, got)
	}
	h.wantLinks("net0", "net1")
	all := h.must("show")
	if !strings.HasPrefix(all, "name: net0\nin/out: a:b\n") || !strings.Contains(all, "\n----\nname: net1\nin/out: c:d\n") {
		t.Errorf("show prints\n%s", all)
	}
	if one := h.must("show", "net1"); !strings.HasPrefix(one, "name: net1\n") || strings.Contains(one, "net0") {
		t.Errorf("show net1 prints\n%s", one)
	}
	if j := h.must("show", "net1", "--json"); !strings.HasPrefix(j, "{\n  \"name\": \"net1\",\n") {
		t.Errorf("show --json prints\n%s", j)
	}
	// All or nothing, in both commands.
	code, _, stderr := h.muennet(append([]string{"load"}, "name=net2,net3", "in=a,c", "out=,nix", "reader_protocol=1,1", "writer_protocol=,1")...)
	if code != exitFailed || !strings.Contains(stderr, "net3") || !strings.Contains(stderr, "nix") {
		t.Errorf("load of a missing channel: exit %d, %s", code, stderr)
	}
	oneLineOf(t, stderr)
	if code, _, stderr = h.muennet("unload", "net0", "net9"); code != exitFailed || !strings.Contains(stderr, "net9") {
		t.Errorf("unload of an unknown one: exit %d, %s", code, stderr)
	}
	h.wantLinks("net0", "net1")
	h.must("unload", "net0")
	h.wantLinks("net1")
	if got := h.pid(); got != pid {
		t.Error("the daemon has ended with one of two interfaces")
	}
	h.must("unload")
	h.wantLinks()
	// Its new parent may not have waited for it yet: then it is a Z.
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !bytes.Contains(stat, []byte(") Z ")) {
		t.Errorf("the daemon still is there: %s", stat)
	}
	if left := h.files(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if code, _, stderr = h.muennet("unload"); code != exitFailed || stderr != "muennet: not running and nothing left behind\n" {
		t.Errorf("second unload: exit %d, %s", code, stderr)
	}
}

// files is what lies next to the control socket, but channels and log.
func (h *host) files() []string {
	h.t.Helper()
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		h.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != "ch" && e.Name() != "muennet.log" {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestLoadPoll: poll= takes what the kernel module takes. More than packets
// should wait is worth a warning.
func TestLoadPoll(t *testing.T) {
	h := newHost(t)
	h.must(append([]string{"load", "poll=0"}, pair("net0", "a", "b")...)...)
	if s, err := client.New(h.control).Interface(t.Context(), "net0"); err != nil || s.Poll != 0 {
		t.Errorf("poll is %d, %v", s.Poll, err)
	}
	h.must("unload")
	code, _, stderr := h.muennet(append([]string{"load", "poll=0xea60"}, pair("net0", "a", "b")...)...)
	if want := "muennet: warning: poll=60000: packets may wait for 1m0s in a channel without wake-ups: it counts milliseconds\n"; code != exitDone || stderr != want {
		t.Errorf("exit %d, %q, want %q", code, stderr, want)
	}
	s, err := client.New(h.control).Interface(t.Context(), "net0")
	if err != nil || s.Poll != 60000 {
		t.Errorf("poll is %d, %v", s.Poll, err)
	}
	log, err := os.ReadFile(filepath.Join(h.dir, "muennet.log"))
	if _, gone := os.Stat(devLog); gone != nil && (err != nil || !strings.Contains(string(log), "packets may wait")) {
		t.Errorf("log: %v\n%s", err, log)
	}
}

// TestLoadUndone: a daemon that was started in vain is gone again.
func TestLoadUndone(t *testing.T) {
	h := newHost(t)
	code, _, stderr := h.muennet(append([]string{"load"}, pair("net0", "a", "nix")...)...)
	if code != exitFailed || !strings.Contains(stderr, "channel create nix") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	oneLineOf(t, stderr)
	if left := h.files(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	h.wantLinks()
}

// TestStartFails: the daemon's own reason reaches the user.
func TestStartFails(t *testing.T) {
	t.Setenv(mainEnv, "1")
	dir := t.TempDir()
	path := filepath.Join(dir, "control.sock")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := call(t, append([]string{"load", "--control", path}, pair("net0", "a", "b")...)...)
	if want := "muennet: start muennet: create control socket: " + path + " exists and is not a socket\n"; code != exitFailed || stderr != want {
		t.Errorf("exit %d, %q, want %q", code, stderr, want)
	}
	code, _, stderr = call(t, append([]string{"load", "--control", filepath.Join(dir, "c"), "--control-group", "no-such"}, pair("net0", "a", "b")...)...)
	if want := "muennet: start muennet: control group \"no-such\": no such group\n"; code != exitFailed || stderr != want {
		t.Errorf("exit %d, %q, want %q", code, stderr, want)
	}
}

// TestStartBusy: a daemon that finds another one says so to its starter.
func TestStartBusy(t *testing.T) {
	t.Setenv(mainEnv, "1")
	h := newHost(t)
	h.load("net0", "a", "b")
	a := &app{control: h.control, logFormat: "text", logLevel: "info"}
	if _, err := a.startDaemon(t.Context(), startConfig{}); !errors.Is(err, errBusy) || !strings.Contains(err.Error(), fmt.Sprintf("in use by pid %d", h.pid())) {
		t.Errorf("error %v", err)
	}
}

// TestLoadAtOnce: of many loads that find no daemon one starts it, and all
// succeed.
func TestLoadAtOnce(t *testing.T) {
	h := newHost(t)
	var wg sync.WaitGroup
	outs := []string{"a", "b", "c", "d"}
	var names []string
	for i, out := range outs {
		name := fmt.Sprintf("net%d", i)
		names = append(names, name)
		wg.Go(func() {
			if code, _, stderr := h.muennet("load", "name="+name, "out="+out, "writer_protocol=1"); code != exitDone {
				t.Errorf("load %s: exit %d, %s", name, code, stderr)
			}
		})
	}
	wg.Wait()
	h.wantLinks(names...)
}

func TestUnloadAfterCrash(t *testing.T) {
	h := newHost(t)
	h.load("net0", "a", "b")
	h.crash()
	h.wantLinks("net0")
	if got := h.must("unload"); got != "removed net0\n" {
		t.Errorf("unload prints %q", got)
	}
	h.wantLinks()
	if left := h.files(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if _, err := os.Stat(daemon.StateFile(h.control)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("state file: %v", err)
	}
}

// run starts `muennet run` and returns when it is ready, with the other end of
// its log.
func (h *host) run(args ...string) (c *testnet.Cmd, log *os.File) {
	h.t.Helper()
	return h.ready(h.command(append([]string{"run"}, args...)...))
}

// ready starts c and returns when its log says that it is ready.
func (h *host) ready(c *testnet.Cmd) (*testnet.Cmd, *os.File) {
	h.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { r.Close() })
	c.Stderr = w
	err = c.Start()
	w.Close()
	if err != nil {
		h.t.Fatal(err)
	}
	var log []byte
	for !bytes.Contains(log, []byte("msg=ready")) {
		var b [4096]byte
		n, err := r.Read(b[:])
		if err != nil {
			h.t.Fatalf("the log ends: %v\n%s", err, log)
		}
		log = append(log, b[:n]...)
	}
	return c, r
}

// TestRun: the interfaces exist when the log says ready, and a signal removes
// them.
func TestRun(t *testing.T) {
	h := newHost(t)
	c, _ := h.run(pair("net0", "a", "b")...)
	h.wantLinks("net0")
	h.load("net1", "c", "d")
	if err := c.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("run: %v", err)
	}
	h.wantLinks()
	if left := h.files(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestRunConfig: a modprobe.d file, and an interface that cannot be made.
func TestRunConfig(t *testing.T) {
	h := newHost(t)
	conf := filepath.Join(h.dir, "ch", "muennet.conf")
	if err := os.WriteFile(conf, []byte("# test\noptions muennet name=net0 in=a out=nix\noptions other x=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := h.muennet("run", "--config", conf, "reader_protocol=1", "writer_protocol=1", "--log-level", "error")
	if code != exitFailed || !strings.Contains(stderr, "nix") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	h.wantLinks()
	if left := h.files(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestDaemonEnv(t *testing.T) {
	got := daemonEnv([]string{"A=1", "NOTIFY_SOCKET=/x", "B=2"})
	if !slices.Equal(got, []string{"A=1", "B=2"}) {
		t.Errorf("%q", got)
	}
}
