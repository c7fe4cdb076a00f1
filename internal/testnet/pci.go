package testnet

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// ownMounts marks the process that PCI starts.
const ownMounts = "MUENNET_TEST_OWN_MOUNTS"

// PCI runs the calling test again in a process with mounts of its own. There it
// returns true, and dir, /sys/bus/pci/devices, is an empty writable directory,
// so the code under test needs no other path for tests. In the first process it
// returns false when the other has ended: the test has nothing left to do. It
// needs root and is not for subtests.
func PCI(t *testing.T) (dir string, inside bool) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts over /sys/bus")
	}
	if os.Getenv(ownMounts) != "" {
		return emptyBus(t), true
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), ownMounts+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("with mounts of its own: %v\n%s", err, out)
	}
	return "", false
}

// emptyBus mounts an empty tree over /sys/bus.
func emptyBus(t *testing.T) (dir string) {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatalf("make mounts private: %v", err)
	}
	const bus = "/sys/bus"
	if err := unix.Mount("muennet-test", bus, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	dir = filepath.Join(bus, "pci", "devices")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
