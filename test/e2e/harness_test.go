package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/client"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/internal/testnet/confine"
)

// patience bounds every wait of these tests.
const patience = testnet.Patience

// program is the path of the muennet binary under test.
var program string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if os.Geteuid() != 0 {
		return m.Run() // every test skips itself
	}
	dir, err := os.MkdirTemp("", "muennet-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "muennet")
	args := []string{"build", "-buildvcs=false", "-o", program}
	if os.Getenv("MUENNET_E2E_RACE") == "1" {
		args = append(args, "-race")
		// Or each command lingers for a second.
		if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if out, err := exec.Command("go", append(args, "github.com/muennet/muennet/cmd/muennet")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build muennet: %v\n%s", err, out)
		return 1
	}
	// Processes that a command leaves running become children of this one,
	// so that leak checks see them.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "become subreaper:", err)
		return 1
	}
	return m.Run()
}

// begin is the first line of every test. It skips the test without root and
// checks that it leaves nothing behind.
func begin(t *testing.T) {
	t.Helper()
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
}

// makeChannels makes a channel directory with channels of 1 MiB.
func makeChannels(t *testing.T, names ...string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "channels")
	for _, name := range names {
		if err := region.Create(dir, name, 1<<20, region.DefaultMode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// host is a network namespace with a muennet of its own, if one is started.
type host struct {
	*testnet.NS
	t        *testing.T
	channels string        // --channels
	control  string        // --control
	env      []string      // added to the environment of muennet
	confined *confine.Spec // what muennet has to do without; nil: nothing

	daemon     *testnet.Cmd    // run in the foreground by start
	log        *testnet.Buffer // of daemon
	stderr     *os.File        // in place of log, if not nil
	background []int           // process ids of those that load started
}

// newHost makes a host with a channel directory. At the end of the test its
// muennet ends and must not leave an interface behind.
func newHost(t *testing.T, channels string) *host {
	t.Helper()
	h := &host{
		NS: testnet.New(t), t: t, channels: channels,
		control: filepath.Join(t.TempDir(), "control.sock"), log: &testnet.Buffer{},
	}
	t.Cleanup(h.cleanup)
	return h
}

// result is how a command ended.
type result struct {
	stdout, stderr string
	code           int
}

// command prepares muennet with the host's --control and --channels.
func (h *host) command(args ...string) *testnet.Cmd {
	c := h.Command(program, append([]string{"--control", h.control, "--channels", h.channels}, args...)...)
	c.Env = append(os.Environ(), h.env...)
	if h.confined != nil {
		h.confined.Apply(c.Cmd)
	}
	return c
}

// muennet runs a muennet command to its end.
func (h *host) muennet(args ...string) result {
	h.t.Helper()
	return h.run(h.command(args...))
}

// run runs a command to its end.
func (h *host) run(c *testnet.Cmd) result {
	h.t.Helper()
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatalf("%v: %v", c.Args, err)
	}
	h.noteBackground()
	return result{stdout.String(), stderr.String(), c.ProcessState.ExitCode()}
}

// must runs a muennet command that has to succeed and returns its output.
func (h *host) must(args ...string) string {
	h.t.Helper()
	r := h.muennet(args...)
	if r.code != 0 || r.stderr != "" {
		h.t.Fatalf("muennet %s: exit code %d, %s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// load adds interfaces. If no muennet runs, it starts one in the background.
func (h *host) load(params ...string) { h.t.Helper(); h.must(append([]string{"load"}, params...)...) }

// start runs muennet in the foreground with these parameters. It returns when
// the interfaces exist.
func (h *host) start(params ...string) {
	h.t.Helper()
	if h.daemon != nil {
		h.t.Fatal("a daemon runs already")
	}
	h.daemon = h.command(append([]string{"run", "--log-level", "debug"}, params...)...)
	h.daemon.Stdout, h.daemon.Stderr = h.log, h.log
	if h.stderr != nil {
		h.daemon.Stderr = h.stderr
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d := h.daemon
	h.t.Cleanup(func() { // before that of the namespace, which kills it
		if h.daemon == d && d.Process != nil {
			h.stop()
		}
	})
	if err := d.StartReady(ctx, filepath.Join(filepath.Dir(h.control), "notify.sock")); err != nil {
		h.t.Fatalf("muennet run %s: %v\n%s", strings.Join(params, " "), err, h.log)
	}
}

// stop ends the daemon of start with SIGTERM.
func (h *host) stop() {
	h.t.Helper()
	d := h.daemon
	h.daemon = nil
	if err := d.Stop(patience); err != nil {
		h.t.Errorf("muennet run: %v\n%s", err, h.log)
	}
}

// kill kills the daemon of start, which is like a crash.
func (h *host) kill() {
	h.t.Helper()
	d := h.daemon
	h.daemon = nil
	if err := d.Process.Kill(); err != nil {
		h.t.Fatalf("kill muennet: %v", err)
	}
	_ = d.Wait()
}

// pid returns the process that answers at the control socket, 0 if none does.
func (h *host) pid() int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	v, err := client.New(h.control).Version(ctx)
	if err != nil {
		return 0
	}
	return v.PID
}

// noteBackground records the daemon that a command has left running and reaps
// those that have ended.
func (h *host) noteBackground() {
	h.background = slices.DeleteFunc(h.background, func(pid int) bool {
		got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
		return got == pid || err == unix.ECHILD
	})
	if h.daemon != nil {
		return
	}
	if pid := h.pid(); pid != 0 && !slices.Contains(h.background, pid) {
		h.background = append(h.background, pid)
	}
}

func (h *host) cleanup() {
	if h.pid() != 0 {
		if r := h.muennet("unload"); r.code != 0 {
			h.t.Errorf("muennet unload: exit code %d, %s", r.code, r.stderr)
		}
	}
	for _, pid := range h.background {
		testnet.Eventually(h.t, "the background muennet has ended", func() bool {
			got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
			return got == pid || err == unix.ECHILD
		})
	}
	if left := h.aliases(); len(left) > 0 {
		h.t.Errorf("interfaces left behind: %q", left)
		_ = h.muennet("unload")
	}
	if h.t.Failed() {
		h.t.Logf("log of muennet at %s:\n%s%s", h.control, h.log, h.backgroundLog())
	}
}

// backgroundLog returns the log that background daemons write without syslog.
func (h *host) backgroundLog() string {
	log, _ := os.ReadFile(filepath.Join(filepath.Dir(h.control), "muennet.log"))
	return string(log)
}

// aliases lists the link aliases of muennet's interfaces in the namespace.
func (h *host) aliases() (found []string) {
	states, err := h.Link().List()
	if err != nil {
		h.t.Error(err)
	}
	for _, s := range states {
		if strings.HasPrefix(s.Alias, "muennet ") {
			found = append(found, s.Alias)
		}
	}
	return found
}

// show returns the output of `muennet show NAME --json`.
func (h *host) show(name string) (s api.Interface) {
	h.t.Helper()
	h.decode(&s, "show", name, "--json")
	return s
}

// showAll returns the output of `muennet show --json`.
func (h *host) showAll() (all []api.Interface) {
	h.t.Helper()
	h.decode(&all, "show", "--json")
	return all
}

func (h *host) decode(v any, args ...string) {
	h.t.Helper()
	out := h.must(args...)
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		h.t.Fatalf("muennet %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// awaitShow waits until ok accepts the output of `muennet show NAME --json`.
func (h *host) awaitShow(name, what string, ok func(api.Interface) bool) {
	h.t.Helper()
	var s api.Interface
	defer func() {
		if h.t.Failed() {
			h.t.Logf("show %s: %+v, writer %+v, reader %+v", name, s, s.Writer, s.Reader)
		}
	}()
	testnet.Eventually(h.t, what, func() bool { s = h.show(name); return ok(s) })
}

// ip runs the ip command with blank-separated arguments.
func (h *host) ip(args string) string { h.t.Helper(); return h.MustRun("ip", strings.Fields(args)...) }
