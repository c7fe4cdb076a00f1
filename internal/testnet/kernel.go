package testnet

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// Kernel reports whether this kernel has at least that version. A test may
// expect different results of different versions, but not skip a feature.
func Kernel(t testing.TB, major, minor int) bool {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	return since(t, unix.ByteSliceToString(u.Release[:]), major, minor)
}

// since compares a release as uname reports it, such as 6.1.0-18-amd64.
func since(t testing.TB, release string, major, minor int) bool {
	t.Helper()
	var a, b int
	if _, err := fmt.Sscanf(release, "%d.%d", &a, &b); err != nil {
		t.Fatalf("kernel release %q: %v", release, err)
	}
	return a > major || a == major && b >= minor
}
