package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/api"
)

// fakeNet is a Net without interfaces in the kernel.
type fakeNet struct {
	mu       sync.Mutex
	names    []string
	channels string // of the last load
	loadErr  error
	closeErr error
	closed   int
	deleted  func() // of the configuration

	children map[string][]uint32 // their marks; all of the first interface
}

func (f *fakeNet) AddChild(parent, child string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, taken := f.children[child]; taken {
		return errors.New("name is taken")
	}
	if _, is := f.children[parent]; is {
		return fmt.Errorf("%s %w net0", parent, muennet.ErrChild)
	}
	if !slices.Contains(f.names, parent) {
		return fmt.Errorf("%s: %w", parent, muennet.ErrUnknown)
	}
	if f.children == nil {
		f.children = map[string][]uint32{}
	}
	f.children[child] = nil
	return nil
}

func (f *fakeNet) DeleteChild(child string) error {
	return f.with(child, func() error {
		delete(f.children, child)
		return nil
	})
}

func (f *fakeNet) AddMark(child string, mark uint32) error {
	return f.with(child, func() error {
		if mark == 0 {
			return muennet.ErrZeroMark
		}
		if slices.Contains(f.children[child], mark) {
			return fmt.Errorf("%d %w %s", mark, muennet.ErrHeld, child)
		}
		f.children[child] = append(f.children[child], mark)
		return nil
	})
}

func (f *fakeNet) DeleteMark(child string, mark uint32) error {
	return f.with(child, func() error {
		i := slices.Index(f.children[child], mark)
		if i < 0 {
			return fmt.Errorf("%d %w %s", mark, muennet.ErrNotHeld, child)
		}
		f.children[child] = slices.Delete(f.children[child], i, i+1)
		return nil
	})
}

// with does something to a child that is there.
func (f *fakeNet) with(child string, do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.children[child]; !ok {
		return fmt.Errorf("%s: %w", child, muennet.ErrUnknown)
	}
	return do()
}

func (f *fakeNet) Load(l muennet.Load) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loadErr != nil {
		return nil, f.loadErr
	}
	var names []string
	for _, i := range l.Interfaces {
		names = append(names, i.Name)
	}
	f.names = append(f.names, names...)
	f.channels = l.Channels
	return names, nil
}

func (f *fakeNet) UnloadAll() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names = nil
	return nil
}

func (f *fakeNet) Unload(names ...string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range names {
		if _, is := f.children[n]; is {
			return fmt.Errorf("%s %w net0", n, muennet.ErrChild)
		}
		if !slices.Contains(f.names, n) {
			return fmt.Errorf("%s: %w", n, muennet.ErrUnknown)
		}
	}
	f.names = slices.DeleteFunc(f.names, func(n string) bool { return slices.Contains(names, n) })
	return nil
}

func (f *fakeNet) Status() []muennet.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	var l []muennet.Status
	for i, n := range f.names {
		s := muennet.Status{Name: n}
		if i == 0 {
			for _, child := range slices.Sorted(maps.Keys(f.children)) {
				s.Children = append(s.Children, api.Child{Name: child, Marks: f.children[child]})
			}
		}
		l = append(l, s)
	}
	return l
}

func (f *fakeNet) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	f.names = nil
	return f.closeErr
}

// running is a daemon over a fakeNet.
type running struct {
	net    *fakeNet
	path   string // of the control socket
	stop   context.CancelFunc
	result chan error // of run
}

// start runs a daemon until the test ends, and waits until it is ready.
func start(t *testing.T, dir, group string) *running {
	t.Helper()
	return startWith(t, dir, Config{Group: group})
}

// startWith is start with more of the configuration.
func startWith(t *testing.T, dir string, cfg Config) *running {
	t.Helper()
	r := &running{net: &fakeNet{}, path: filepath.Join(dir, "control.sock"), result: make(chan error, 1)}
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	ready := make(chan struct{})
	go func() {
		cfg.Control, cfg.Logger, cfg.Ready = r.path, quiet(), func() { close(ready) }
		r.result <- run(ctx, cfg, func(c muennet.Config) (network, error) {
			r.net.deleted = c.Deleted
			return r.net, nil
		})
	}()
	select {
	case <-ready:
	case err := <-r.result:
		t.Fatalf("run: %v", err)
	}
	t.Cleanup(stop)
	return r
}

// end stops the daemon and gives what run returned.
func (r *running) end() error {
	r.stop()
	return <-r.result
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// openDir is a directory that other users may enter, which t.TempDir is not.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "muennet")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

var errTest = errors.New("interface net9: no luck")
