package vm

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// dir is where make vm-test keeps the kernel, and where logs of failed tests
// go. Other kernels are beside it.
var dir = func() string {
	if d := os.Getenv("MUENNET_VM"); d != "" {
		return d
	}
	return filepath.Join("..", "..", "bin", "vm")
}()

// kernel is a kernel for guests: a directory with vmlinuz and modules/*.ko.
type kernel struct {
	name   string // of the part of a test that boots it
	suffix string // of the directory
	made   string // how one gets it
	always bool   // CI is meant to have it
}

var (
	debian  = kernel{"debian", "", "make vm-test as root on a Debian system", true}
	newest  = kernel{"newest", "-newest", "make vm-test where the mirror has a newer kernel", false}
	minimal = kernel{"minimal", "-minimal", "make minimal-kernel", false}
)

func (k kernel) dir() string   { return dir + k.suffix }
func (k kernel) image() string { return filepath.Join(k.dir(), "vmlinuz") }

// need skips the test where the kernel is not there, or nothing to boot it in.
func need(t testing.TB, k kernel) (qemu string) {
	t.Helper()
	missing := func(what string, fatal bool) {
		t.Helper()
		if fatal && os.Getenv("CI") == "true" {
			t.Fatalf("%s: run %s", what, debian.made)
		}
		t.Skipf("%s: %s provides it", what, k.made)
	}
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		missing("no qemu-system-x86_64", true)
	}
	if _, err := os.Stat(k.image()); err != nil {
		missing("no kernel in "+k.dir(), k.always)
	}
	return qemu
}
