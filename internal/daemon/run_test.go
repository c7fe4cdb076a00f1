package daemon

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/client"
)

func (r *running) client() *client.Client { return client.New(r.path) }

// empty makes sure that a clean stop has left nothing in dir.
func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("left behind: %s", e.Name())
	}
}

func TestStop(t *testing.T) {
	t.Run("signal", func(t *testing.T) {
		dir := t.TempDir()
		d := start(t, dir, "")
		if err := d.end(); err != nil || d.net.closed != 1 {
			t.Errorf("run: %v, closed %d times", err, d.net.closed)
		}
		empty(t, dir)
	})
	t.Run("request", func(t *testing.T) {
		dir := t.TempDir()
		d := start(t, dir, "")
		if err := d.client().Shutdown(t.Context(), api.ShutdownRequest{}); err != nil {
			t.Error(err)
		}
		if err := <-d.result; err != nil || d.net.closed != 1 {
			t.Errorf("run: %v, closed %d times", err, d.net.closed)
		}
		empty(t, dir)
		if _, err := d.client().Version(t.Context()); !errors.Is(err, client.ErrNotRunning) {
			t.Errorf("afterwards: %v", err)
		}
	})
	t.Run("that fails", func(t *testing.T) {
		dir := t.TempDir()
		d := start(t, dir, "")
		d.net.closeErr = errTest
		if err := d.end(); !errors.Is(err, errTest) {
			t.Errorf("run: %v", err)
		}
		empty(t, dir)
	})
}

func TestOpenFails(t *testing.T) {
	dir := t.TempDir()
	err := run(t.Context(), Config{Control: filepath.Join(dir, "s"), Logger: quiet()},
		func(muennet.Config) (network, error) { return nil, errTest })
	if !errors.Is(err, errTest) {
		t.Errorf("run: %v", err)
	}
	empty(t, dir)
}

// TestOpenConfig: what the network is opened with.
func TestOpenConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	var got muennet.Config
	run(t.Context(), Config{Control: path, Logger: quiet(), Load: muennet.Load{Channels: "/ch"}},
		func(c muennet.Config) (network, error) { got = c; return nil, errTest })
	if got.State != path+".state" || got.Load.Channels != "/ch" || got.Logger == nil {
		t.Errorf("opened with %+v", got)
	}
}

func TestLiveSocket(t *testing.T) {
	d := start(t, t.TempDir(), "")
	err := run(t.Context(), Config{Control: d.path, Logger: quiet()}, nil)
	var inUse *InUseError
	if !errors.As(err, &inUse) || inUse.PID != os.Getpid() {
		t.Fatalf("run: %v", err)
	}
	if want := "control socket " + d.path + " is in use by pid " + strconv.Itoa(os.Getpid()); err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if _, err := Forget(d.path); !errors.As(err, &inUse) {
		t.Errorf("forget while it runs: %v", err)
	}
	if _, err := d.client().Version(t.Context()); err != nil {
		t.Errorf("the first one was disturbed: %v", err)
	}
}

// TestForeignSocket: a process without our lock listens there.
func TestForeignSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var inUse *InUseError
	if err := run(t.Context(), Config{Control: path, Logger: quiet()}, nil); !errors.As(err, &inUse) || inUse.PID != os.Getpid() {
		t.Errorf("run: %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestStaleSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "control.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	// A crash leaves the lock file, too.
	if err := os.WriteFile(path+".lock", []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := start(t, dir, "")
	if _, err := d.client().Version(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNoSocketIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := run(t.Context(), Config{Control: path, Logger: quiet()}, nil)
	if err == nil || !strings.HasSuffix(err.Error(), path+" exists and is not a socket") {
		t.Errorf("run: %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("file holds %q", b)
	}
}

// TestOneWins: of many that start at once one serves, the others say who does.
func TestOneWins(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "s")
		ctx, stop := context.WithCancel(t.Context())
		var ready atomic.Int32
		var wg sync.WaitGroup
		results := make(chan error, 8)
		for range cap(results) {
			wg.Go(func() {
				results <- run(ctx, Config{Control: path, Logger: quiet(), Ready: func() { ready.Add(1) }},
					func(muennet.Config) (network, error) { return &fakeNet{}, nil })
			})
		}
		for range cap(results) - 1 {
			var inUse *InUseError
			if err := <-results; !errors.As(err, &inUse) {
				t.Errorf("loser: %v", err)
			}
		}
		stop()
		if err := <-results; err != nil {
			t.Errorf("winner: %v", err)
		}
		wg.Wait()
		if n := ready.Load(); n != 1 {
			t.Fatalf("%d were ready", n)
		}
	}
}

func TestNotify(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@muennet-test-" + strconv.Itoa(os.Getpid())} {
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		t.Setenv("NOTIFY_SOCKET", name)
		d := start(t, t.TempDir(), "")
		expect := func(want string) {
			t.Helper()
			var b [64]byte
			n, err := l.Read(b[:])
			if err != nil || string(b[:n]) != want {
				t.Errorf("%s: got %q, %v, want %q", name, b[:n], err, want)
			}
		}
		expect("READY=1")
		if err := d.end(); err != nil {
			t.Error(err)
		}
		expect("STOPPING=1")
	}
}

// TestNotifyNobody: a manager that is not there does not keep the daemon from
// running.
func TestNotifyNobody(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	if err := start(t, t.TempDir(), "").end(); err != nil {
		t.Error(err)
	}
}

// TestNotifyStalled: neither does one that reads nothing.
func TestNotifyStalled(t *testing.T) {
	addr := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	l, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.DialUnix("unixgram", nil, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for err == nil { // until its queue is full
		if err = c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)); err == nil {
			_, err = c.Write([]byte("full"))
		}
	}
	t.Setenv("NOTIFY_SOCKET", addr.Name)
	if err := start(t, t.TempDir(), "").end(); err != nil {
		t.Error(err)
	}
}
