package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNoModules(t *testing.T) {
	if names, err := loadModules(filepath.Join(t.TempDir(), "missing")); err != nil || len(names) > 0 {
		t.Errorf("modules of a missing directory: %v, %v", names, err)
	}
}

// TestWhatIsNoModule is about files that must neither stop the others nor go
// unmentioned. The kernel takes none of them, from any user.
func TestWhatIsNoModule(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"README", "modules.dep", "a.ko.d/inner.txt", "b.ko", "extra/c.ko.xz", "d.o"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("no module"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	names, err := loadModules(dir)
	if err == nil || len(names) > 0 {
		t.Fatalf("loaded %v, error %v", names, err)
	}
	if s := err.Error(); !strings.Contains(s, "/b.ko: ") || !strings.Contains(s, "/extra/c.ko.xz: ") || strings.Count(s, "load module") != 2 {
		t.Errorf("error %v", err)
	}
}
