package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
)

// pciDevice puts one ivshmem device of 64 KiB, 0000:00:04.0, in the place of
// the PCI devices, and returns the file of its memory. Where inside is false
// the test is done, see testnet.PCI.
func pciDevice(t *testing.T) (memory string, inside bool) {
	t.Helper()
	dir, inside := testnet.PCI(t)
	if !inside {
		return "", false
	}
	return testnet.Ivshmem(t, dir, "0000:00:04.0", 64<<10), true
}

func TestChannelOnDevice(t *testing.T) {
	memory, inside := pciDevice(t)
	if !inside {
		return
	}
	const name = "pci:00:04.0@4K+8K"
	in := func(args ...string) (int, string, string) {
		return call(t, append([]string{"--channels", filepath.Join(t.TempDir(), "none"), "channel"}, args...)...)
	}
	for _, args := range [][]string{{"create", name}, {"create", name, "--size", "8K"}, {"create", "pci:0000:00:04.0"}} {
		if code, stdout, stderr := in(args...); code != exitDone || stdout+stderr != "" {
			t.Errorf("%q: exit %d, %q %q", args, code, stdout, stderr)
		}
	}
	if enabled, err := os.ReadFile(filepath.Join(filepath.Dir(memory), "enable")); err != nil || string(enabled) != "1" {
		t.Errorf("enable is %q, %v", enabled, err)
	}
	r, err := region.Open("", name, region.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Lock(); err != nil {
		t.Fatal(err)
	}
	w := startWriter(t, r, 0x12, 100)
	w.Write([]byte("hello"))

	code, stdout, stderr := in("show", name)
	want := regexp.MustCompile(fmt.Sprintf(`^channel:    %s
path:       %s
region:     8192 bytes
memory:     pci: (cached|uncached), reads \d+ MB/s
writer:     pid %d
state:      active
`, regexp.QuoteMeta(name), regexp.QuoteMeta(memory), os.Getpid()))
	if code != exitDone || !want.MatchString(stdout) {
		t.Errorf("show: exit %d, %s, prints\n%s", code, stderr, stdout)
	}
	code, stdout, stderr = in("dump", name)
	if code != exitDone || !strings.Contains(stdout, "1 elements written, 100 bytes each") || !strings.Contains(stdout, "hello") {
		t.Errorf("dump: exit %d, %s, prints\n%s", code, stderr, stdout)
	}
	code, stdout, stderr = call(t, "channel", "list") // whatever the default directory has
	if want := fmt.Sprintf("pci:0000:00:04.0 65536 0600 pid %d", os.Getpid()); code != exitDone || !strings.Contains(strings.Join(strings.Fields(stdout), " "), want) {
		t.Errorf("list: exit %d, %s, prints\n%s, want\n%s", code, stderr, stdout, want)
	}
	if code, stdout, stderr = in("list"); code != exitFailed || stdout != "" || !strings.Contains(stderr, "/none") {
		t.Errorf("list of a directory that is not there: exit %d, %q %q", code, stdout, stderr)
	}

	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"create", name}, exitFailed, "another writer holds it: pid"},
		{[]string{"create", "pci:00:04.0@0+4K", "--size", "8K"}, exitFailed, "it has 4096 bytes, not 8192"},
		{[]string{"create", "pci:00:04.0", "--mode", "0600"}, exitUsage, "which has no mode"},
		{[]string{"create", "pci:00:04.0@60K+8K"}, exitFailed, "the window ends at byte 69632, the device's memory at 65536"},
		{[]string{"create", "pci:00:05.0"}, exitFailed, "no PCI device 0000:00:05.0; ivshmem devices are 0000:00:04.0"},
		{[]string{"create", "pci:5"}, exitFailed, "want pci:BUS:DEV.FN"},
		{[]string{"show", "pci:00:05.0"}, exitFailed, "no PCI device 0000:00:05.0"},
		{[]string{"dump", "pci:00:04.0@0+4K"}, exitFailed, "inactive"},
	} {
		code, stdout, stderr := in(c.args...)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit %d, %q %q, want %d and %q", c.args, code, stdout, stderr, c.code, c.want)
		}
		oneLineOf(t, stderr)
	}
	// The lock goes with the process; the header still says that a writer is
	// there.
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := in("create", name); code != exitFailed || !strings.Contains(stderr, "a writer is active, epoch 0x1234") {
		t.Errorf("create over an active writer: exit %d, %q", code, stderr)
	}
}

// Devices are listed with the files of the channel directory.
func TestChannelListWithDevices(t *testing.T) {
	if _, inside := pciDevice(t); !inside {
		return
	}
	dir := t.TempDir()
	makeChannel(t, dir, "a", 4096)
	_, stdout, stderr := call(t, "--channels", dir, "channel", "list")
	if want := "NAME              SIZE   MODE  WRITER\na                 4096   0600  -\npci:0000:00:04.0  65536  0600  -\n"; stdout != want {
		t.Errorf("list prints\n%s%s, want\n%s", stdout, stderr, want)
	}
}
