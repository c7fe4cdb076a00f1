package region

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/testnet"
)

func TestWatcher(t *testing.T) {
	testnet.CheckLeaks(t)
	for name, change := range map[string]func(dir, path string) error{
		"removed": func(_, path string) error { return os.Remove(path) },
		"renamed": func(_, path string) error { return os.Rename(path, path+".old") },
		"replaced": func(_, path string) error {
			return errors.Join(os.WriteFile(path+".new", nil, 0o600), os.Rename(path+".new", path))
		},
		"cut":           func(_, path string) error { return os.Truncate(path, 0) },
		"no directory":  func(dir, _ string) error { return os.RemoveAll(dir) },
		"its directory": func(dir, _ string) error { return os.Rename(dir, dir+".old") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "channels")
			path := filepath.Join(dir, "c")
			if err := Create(dir, "c", 4096, DefaultMode); err != nil {
				t.Fatal(err)
			}
			told := make(chan struct{}, 100)
			w, err := Watch([]string{path, path}, func() { told <- struct{}{} })
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if err := change(dir, path); err != nil {
				t.Fatal(err)
			}
			select {
			case <-told:
			case <-time.After(30 * time.Second):
				t.Error("no report")
			}
			w.Close()
		})
	}
	if _, err := Watch([]string{"/nowhere/c"}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}
