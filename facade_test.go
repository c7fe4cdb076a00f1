package muennet_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
)

// twoInterfaces returns a load with one interface of each relevant kind: with
// programs for marks, and without.
func twoInterfaces(t testing.TB) muennet.Load {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "channels")
	for _, name := range []string{"a|in", "a|out", "b|in", "b|out"} {
		if err := region.Create(dir, name, 256<<10, region.DefaultMode); err != nil {
			t.Fatal(err)
		}
	}
	load, err := muennet.ParseLoad("name=net0,net1", "in=a|out,b|out", "out=a|in,b|in", "flags=net_hdr,eth_dev",
		"reader_protocol=2,3", "writer_protocol=2,3")
	if err != nil {
		t.Fatal(err)
	}
	load.Channels = dir
	return load
}

func TestParseLoadTakesWhatTheCommandTakes(t *testing.T) {
	load, err := muennet.ParseLoad("name=net0", "in=a", "reader_protocol=12", "poll=5")
	if err != nil {
		t.Fatal(err)
	}
	if i := load.Interfaces[0]; len(load.Interfaces) != 1 || i.Name != "net0" || i.In != "a" || i.ReaderProtocol != 0x12 || load.Poll != 5*time.Millisecond {
		t.Errorf("parsed as %+v", load)
	}
	if load, err := muennet.ParseLoad("name=net0", "in=a", "colour=red"); err == nil || !strings.Contains(err.Error(), "colour") || len(load.Interfaces) != 0 {
		t.Errorf("an unknown parameter gives %+v, %v", load, err)
	}
}

// TestOpenReturnsWhenTheInterfacesExist also checks what a failed Open leaves.
func TestOpenReturnsWhenTheInterfacesExist(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	load := twoInterfaces(t)
	testnet.New(t).Do(func() {
		broken := load
		broken.Interfaces = append(broken.Interfaces[:2:2], muennet.Interface{Name: "net2", In: "missing", ReaderProtocol: 2})
		if _, err := muennet.Open(muennet.Config{Load: broken}); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("open with a missing channel: %v", err)
		}
		if names := interfaces(t); len(names) != 0 {
			t.Errorf("a failed open leaves %v", names)
		}
		n, err := muennet.Open(muennet.Config{Load: load})
		if err != nil {
			t.Error(err)
			return
		}
		if names := interfaces(t); strings.Join(names, " ") != "net0 net1" {
			t.Errorf("after open there are %v", names)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if names := interfaces(t); len(names) != 0 {
			t.Errorf("close leaves %v", names)
		}
	})
}

// TestForgetNamesTheDamagedFile: the error says where the file is now.
func TestForgetNamesTheDamagedFile(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	path := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(path, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	testnet.New(t).Do(func() {
		_, err := muennet.Forget(path)
		var damaged *muennet.DamagedStateError
		if !errors.As(err, &damaged) || damaged.Path != path || damaged.Err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v", err)
			return
		}
		if b, err := os.ReadFile(damaged.Aside); err != nil || string(b) != "rubbish" {
			t.Errorf("set aside: %q, %v", b, err)
		}
	})
}

// TestOpenAndCloseAgainAndAgain counts what must not accumulate in a
// long-running program. Go keeps idle threads for the next goroutine that needs
// one, so the first rounds may create some.
func TestOpenAndCloseAgainAndAgain(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	load := twoInterfaces(t)
	ns := testnet.New(t)
	round := func() {
		ns.Do(func() {
			n, err := muennet.Open(muennet.Config{Load: load})
			if err != nil {
				t.Fatal(err)
			}
			setUp(t, "net0", "net1")
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
	const rounds = 40
	for range rounds {
		round()
	}
	goroutines, threads := settled(), threadCount(t)
	for range rounds {
		round()
	}
	if n := settled(); n > goroutines {
		t.Errorf("%d goroutines after %d more rounds of open and close, %d before", n, rounds, goroutines)
	}
	// One leak per round would be 40.
	if n := threadCount(t); n > threads+rounds/4 {
		t.Errorf("%d threads after %d more rounds of open and close, %d before", n, rounds, threads)
	}
}

// blocked is a log handler that blocks until it is released.
type blocked struct {
	release chan struct{}
	lines   chan string
}

func (b blocked) Enabled(context.Context, slog.Level) bool { return true }
func (b blocked) WithAttrs([]slog.Attr) slog.Handler       { return b }
func (b blocked) WithGroup(string) slog.Handler            { return b }

func (b blocked) Handle(_ context.Context, r slog.Record) error {
	<-b.release
	b.lines <- r.Message
	return nil
}

// TestLoggerThatBlocks: a blocked logger delays nothing, except Close for a
// short time, and gets its lines once it is released.
func TestLoggerThatBlocks(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	b := blocked{make(chan struct{}), make(chan string, 100)}
	load := twoInterfaces(t)
	testnet.New(t).Do(func() {
		n, err := muennet.Open(muennet.Config{Load: load, Logger: slog.New(b)})
		if err != nil {
			t.Error(err)
			return
		}
		setUp(t, "net0", "net1")
		if s := n.Status(); len(s) != 2 {
			t.Errorf("%+v", s)
		}
		if err := n.Unload("net0"); err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if names := interfaces(t); len(names) != 0 {
			t.Errorf("close leaves %v", names)
		}
	})
	close(b.release)
	for removed := 0; removed < 2; {
		select {
		case line := <-b.lines:
			if line == "interface removed" {
				removed++
			}
		case <-time.After(time.Minute):
			t.Fatal("lines are missing")
		}
	}
}

// BenchmarkOpenToRunning measures how long a program waits for its interfaces
// at startup: from Open until both are up and running.
func BenchmarkOpenToRunning(b *testing.B) {
	testnet.Privileged(b)
	load := twoInterfaces(b)
	ns := testnet.New(b)
	for b.Loop() {
		ns.Do(func() {
			n, err := muennet.Open(muennet.Config{Load: load})
			if err != nil {
				b.Fatal(err)
			}
			setUp(b, "net0", "net1")
			for !running(b, "net0") || !running(b, "net1") {
				time.Sleep(100 * time.Microsecond)
			}
			b.StopTimer()
			if err := n.Close(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		})
	}
}

// settled returns the number of goroutines once those that are ending have
// ended: the minimum over a short time.
func settled() int {
	least := runtime.NumGoroutine()
	for range 100 {
		time.Sleep(time.Millisecond)
		least = min(least, runtime.NumGoroutine())
	}
	return least
}

// threadCount returns the number of threads of this process.
func threadCount(t testing.TB) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

// interfaces lists the interfaces of the calling thread's namespace, without
// loopback.
func interfaces(t testing.TB) (names []string) {
	t.Helper()
	h, err := link.Open(-1)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	states, err := h.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		if s.Name != "lo" {
			names = append(names, s.Name)
		}
	}
	return names
}

func setUp(t testing.TB, names ...string) {
	t.Helper()
	h, err := link.Open(-1)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for _, name := range names {
		s, err := h.ByName(name)
		if err == nil {
			err = h.SetUp(s.Index)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func running(t testing.TB, name string) bool {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return i.Flags&net.FlagRunning != 0
}
