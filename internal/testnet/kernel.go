package testnet

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// Kernel reports whether this kernel is at least of that version. What a test
// expects of a feature may depend on it; that the feature works may not.
func Kernel(t testing.TB, major, minor int) bool {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	return since(t, unix.ByteSliceToString(u.Release[:]), major, minor)
}

// since compares the release that uname gives, as in 6.1.0-18-amd64.
func since(t testing.TB, release string, major, minor int) bool {
	t.Helper()
	var a, b int
	if _, err := fmt.Sscanf(release, "%d.%d", &a, &b); err != nil {
		t.Fatalf("kernel release %q: %v", release, err)
	}
	return a > major || a == major && b >= minor
}
