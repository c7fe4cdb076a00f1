package region

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCreateMissing: what exists is left alone, whatever it is.
func TestCreateMissing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	for _, want := range []bool{true, false} {
		if made, err := CreateMissing(dir, "a", 4096, 0o640); err != nil || made != want {
			t.Errorf("made %t, %v, want %t", made, err, want)
		}
	}
	if err := CheckFile(dir, "a", 4096, 0o640); err != nil {
		t.Error(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if made, err := CreateMissing(dir, "link", 4096, 0o600); err != nil || made {
		t.Errorf("a symbolic link: made %t, %v", made, err)
	}
	if made, err := CreateMissing(dir, "b", 1, 0o600); err == nil || made {
		t.Errorf("too small: made %t, %v", made, err)
	}
}

func TestCheckFile(t *testing.T) {
	dir := t.TempDir()
	if err := Create(dir, "a", 4096, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		size int64
		mode os.FileMode
		want string
	}{
		{"a", 4096, 0o640, ""},
		{filepath.Join(dir, "a"), 4096, 0o640, ""},
		{"a", 8192, 0o640, "channel a exists: size 4096, not 8192"},
		{"a", 4096, 0o600, "channel a exists: mode 0640, not 0600"},
		{"a", 8192, 0o600, "channel a exists: size 4096, not 8192, mode 0640, not 0600"},
		{"link", 4096, 0o640, "channel link exists: "},
		{"b", 4096, 0o640, "no such file"},
	} {
		err := CheckFile(dir, tc.name, tc.size, tc.mode)
		if (err != nil) != (tc.want != "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s, %d bytes, mode %04o: %v, want %q", tc.name, tc.size, tc.mode, err, tc.want)
		}
	}
}
