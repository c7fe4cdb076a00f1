package region

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/testnet"
)

// pciBus replaces the directory of the PCI devices by an empty one.
func pciBus(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	before := pciDevices
	pciDevices = dir
	t.Cleanup(func() { pciDevices = before })
	return dir
}

// ivshmem adds a device with size bytes of memory at 0000:00:04.0.
func ivshmem(t *testing.T, size int64) (dir, memory string) {
	t.Helper()
	dir = pciBus(t)
	return dir, testnet.Ivshmem(t, dir, "0000:00:04.0", size)
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func TestDevice(t *testing.T) {
	dir, memory := ivshmem(t, 64<<10)
	before := descriptors(t)
	w, err := Open("/nowhere", "pci:00:04.0", ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if got := content(t, filepath.Join(dir, "0000:00:04.0/enable")); got != "1" {
		t.Errorf("enable is %q", got)
	}
	if w.Kind() != PCI || w.Futex() || w.EventPath() != "" || w.Path() != memory || w.Size() != 64<<10 {
		t.Errorf("kind %v, futex %v, events %q, path %s, size %d", w.Kind(), w.Futex(), w.EventPath(), w.Path(), w.Size())
	}
	// The same device under another name, and a window within a page.
	r := open(t, "pci:0000:00:04.0@8200+1000", ReadOnly)
	w.Bytes()[8200] = 7
	if r.Bytes()[0] != 7 || r.Size() != 1000 {
		t.Errorf("byte %d of a window of %d bytes", r.Bytes()[0], r.Size())
	}
	if err := errors.Join(w.Intact(), r.Intact()); err != nil {
		t.Error(err)
	}
	if err := errors.Join(w.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d open files afterwards, %d before", after, before)
	}
}

// A device that is enabled is left alone: the kernel counts each write.
func TestDeviceEnabledOnce(t *testing.T) {
	dir, _ := ivshmem(t, 4096)
	path := filepath.Join(dir, "0000:00:04.0/enable")
	if err := os.WriteFile(path, []byte("2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, "pci:00:04.0", Inspect)
	if got := content(t, path); got != "2" {
		t.Errorf("enable is %q", got)
	}
}

func TestDeviceErrors(t *testing.T) {
	dir, _ := ivshmem(t, 64<<10)
	testnet.Ivshmem(t, dir, "0000:00:05.0", 0)
	other := testnet.Ivshmem(t, dir, "0000:00:06.0", 4096)
	unassigned := testnet.Ivshmem(t, dir, "0000:00:07.0", 4096)
	within := testnet.Ivshmem(t, dir, "0000:00:08.0", 4096)
	short := testnet.Ivshmem(t, dir, "0000:00:09.0", 4096)
	odd := testnet.Ivshmem(t, dir, "0000:00:0b.0", 4096)
	gone := testnet.Ivshmem(t, dir, "0000:00:0a.0", 4096)
	write := func(memory, name, text string) {
		if err := os.WriteFile(filepath.Join(filepath.Dir(memory), name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	bar := "0x0 0x0 0x0\n0x0 0x0 0x0\n"
	write(other, "vendor", "0x8086\n")
	write(other, "device", "0x100e\n")
	write(unassigned, "resource", bar+"0x0 0xfff 0x14220c\n")
	write(within, "resource", bar+"0xfe000400 0xfe0007ff 0x14220c\n")
	write(short, "resource", bar)
	write(odd, "resource", bar+"0xfe000000 none\n")
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)
	for _, c := range []struct{ spec, want string }{
		{"pci:00:03.0", "open channel pci:00:03.0: no PCI device 0000:00:03.0; ivshmem devices are 0000:00:04.0, 0000:00:05.0, 0000:00:07.0, 0000:00:08.0, 0000:00:09.0, 0000:00:0a.0, 0000:00:0b.0: stat %DIR/0000:00:03.0: no such file or directory"},
		{"pci:00:05.0", "open channel pci:00:05.0: device 0000:00:05.0 has no BAR 2, and so no shared memory: file does not exist"},
		{"pci:00:06.0", "open channel pci:00:06.0: device 0000:00:06.0 is 8086:100e, not an ivshmem device: want 1af4:1110"},
		{"pci:00:07.0", "open channel pci:00:07.0: BAR 2 of device 0000:00:07.0 has no address: neither firmware nor kernel gave it one"},
		{"pci:00:08.0", fmt.Sprintf("open channel pci:00:08.0: BAR 2 of device 0000:00:08.0 begins at 0xfe000400: mmap maps whole pages of %d bytes only", os.Getpagesize())},
		{"pci:00:09.0", "open channel pci:00:09.0: read resource of device 0000:00:09.0: 2 lines, want one for BAR 2"},
		{"pci:00:0b.0", `open channel pci:00:0b.0: read resource of device 0000:00:0b.0: line "0xfe000000 none": input does not match format`},
		{"pci:00:0a.0", "open channel pci:00:0a.0: device 0000:00:0a.0 has no BAR 2, and so no shared memory: no such file or directory"},
		{"pci:00:04.0@64K+64", "open channel pci:00:04.0@64K+64: the window ends at byte 65600, the device's memory at 65536"},
		{"pci:00:04.0@0+128K", "open channel pci:00:04.0@0+128K: the window ends at byte 131072, the device's memory at 65536"},
		{"pci:00:04.0@8+63", "open channel pci:00:04.0@8+63: 63 bytes are too small: a channel's header takes 64"},
	} {
		for _, access := range []Access{ReadOnly, ReadWrite, Inspect} {
			_, err := Open("", c.spec, access)
			wantError(t, err, dir, c.want)
		}
	}
	for _, address := range []string{"0000:00:04.0", "0000:00:05.0", "0000:00:06.0", "0000:00:07.0", "0000:00:08.0"} {
		if got := content(t, filepath.Join(dir, address, "enable")); got != "0" {
			t.Errorf("%s was enabled nevertheless", address)
		}
	}
	for _, spec := range []string{"pci:00:03.0", "pci:00:05.0", "pci:00:0a.0"} {
		if _, err := Open("", spec, ReadOnly); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v is not fs.ErrNotExist", err)
		}
	}
	for _, name := range []string{"enable", "resource", "device", "vendor"} {
		path := filepath.Join(dir, "0000:00:04.0", name)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		_, err := Open("", "pci:00:04.0", ReadOnly)
		wantError(t, err, dir, "open channel pci:00:04.0: read "+name+" of device 0000:00:04.0: open "+path+": no such file or directory")
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d open files afterwards, %d before", after, before)
	}
}

func TestDeviceAbsent(t *testing.T) {
	dir := pciBus(t)
	_, err := Open("", "pci:00:04.0", ReadOnly)
	wantError(t, err, dir, "open channel pci:00:04.0: no PCI device 0000:00:04.0, and no ivshmem device at any address: stat %DIR/0000:00:04.0: no such file or directory")
	pciDevices = filepath.Join(dir, "no")
	_, err = Open("", "pci:00:04.0", ReadOnly)
	wantError(t, err, dir, "open channel pci:00:04.0: look for device 0000:00:04.0: no PCI bus, or no sysfs on /sys (mount -t sysfs none /sys): stat %DIR/no: no such file or directory")
	if infos := Devices(); infos != nil {
		t.Errorf("devices %v", infos)
	}
}

// What can fail after all checks: nothing stays open or mapped.
func TestDeviceStepsFail(t *testing.T) {
	dir, memory := ivshmem(t, 4096)
	asKernel(t)
	answers := kernel
	// The device's memory, all zeros, is slow to read: both mappings are
	// tried.
	defer func(order bool, read func([]byte) time.Duration) { deviceOrder, readTime = order, read }(deviceOrder, readTime)
	deviceOrder = true
	readTime = func(mem []byte) time.Duration { return time.Second - time.Duration(mem[0])*999*time.Millisecond }
	before := descriptors(t)
	for _, c := range []struct {
		fail func()
		want string
	}{
		{func() {
			kernel.openat = func(dir int, name string, flags int, mode uint32) (int, error) {
				if pathAt(dir, name) == memory+"_wc" {
					return -1, unix.EMFILE
				}
				return answers.openat(dir, name, flags, mode)
			}
		}, "open channel pci:00:04.0: open " + memory + "_wc: too many open files"},
		{func() {
			kernel.mmap = func(int, int64, int, int, int) ([]byte, error) { return nil, unix.EPERM }
		}, "open channel pci:00:04.0: map 4096 bytes: operation not permitted (kernel lockdown, as with secure boot, forbids mapping PCI memory)"},
		{func() {
			calls := 0
			kernel.mmap = func(fd int, offset int64, length, prot, flags int) ([]byte, error) {
				if calls++; calls == 2 {
					return nil, unix.EINVAL
				}
				return answers.mmap(fd, offset, length, prot, flags)
			}
		}, "open channel pci:00:04.0: map 4096 bytes: invalid argument"},
		{func() {
			kernel.writeFile = func(path string, _ []byte, _ os.FileMode) error {
				return &fs.PathError{Op: "write", Path: path, Err: unix.EACCES}
			}
		}, "open channel pci:00:04.0: enable device 0000:00:04.0: write %DIR/0000:00:04.0/enable: permission denied"},
	} {
		kernel = answers
		if err := os.WriteFile(filepath.Join(dir, "0000:00:04.0/enable"), []byte("0\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		c.fail()
		_, err := Open("", "pci:00:04.0", ReadWrite)
		wantError(t, err, dir, c.want)
	}
	kernel = answers
	if after := descriptors(t); after != before {
		t.Errorf("%d open files afterwards, %d before", after, before)
	}
	nothingMapped(t, dir)
}

// A device that is removed takes its memory along. One that is plugged in at
// the same address is a different one.
func TestDeviceRemoved(t *testing.T) {
	dir, memory := ivshmem(t, 4096)
	r := open(t, "pci:00:04.0", ReadOnly)
	if err := os.RemoveAll(filepath.Dir(memory)); err != nil {
		t.Fatal(err)
	}
	for _, back := range []bool{false, true} {
		if back {
			testnet.Ivshmem(t, dir, "0000:00:04.0", 4096)
		}
		err := r.Intact()
		if !errors.Is(err, ErrFault) {
			t.Errorf("%v is not ErrFault", err)
		}
		wantError(t, err, dir, "check channel pci:00:04.0: the device was removed")
	}
}

// One writer, under whatever name and mapping.
func TestDeviceLock(t *testing.T) {
	_, memory := ivshmem(t, 64<<10)
	w := open(t, "pci:00:04.0@0+32K", ReadWrite)
	if err := w.Lock(); err != nil {
		t.Fatal(err)
	}
	again := open(t, "pci:0000:00:04.0@16K+32K", ReadWrite)
	err := again.Lock()
	var held *HeldError
	if !errors.As(err, &held) || held.PID != os.Getpid() || held.Path != memory {
		t.Errorf("overlapping window: %v", err)
	}
	if !again.WriterLocked() {
		t.Error("the writer is not detected")
	}
	behind := open(t, "pci:00:04.0@32K+32K", ReadWrite)
	if err := behind.Lock(); err != nil {
		t.Errorf("window behind: %v", err)
	}
	// Another process, which uses the path of the file.
	if got := run(t, "probe", memory+"@0+64"); got != "true" {
		t.Errorf("another process sees the lock: %s", got)
	}
	// A lock of another process is detected here.
	if err := behind.Close(); err != nil {
		t.Fatal(err)
	}
	pid, _ := holdLock(t, memory+"@48K+64")
	err = open(t, "pci:00:04.0@32K+32K", ReadWrite).Lock()
	wantError(t, err, "", "channel "+memory+": another writer holds it: pid "+strconv.Itoa(pid))
}

func TestDevices(t *testing.T) {
	dir, _ := ivshmem(t, 64<<10)
	testnet.Ivshmem(t, dir, "0000:00:05.0", 0)
	other := testnet.Ivshmem(t, dir, "0000:00:06.0", 4096)
	if err := os.WriteFile(filepath.Join(filepath.Dir(other), "device"), []byte("0x1041\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := open(t, "pci:00:04.0@0+32K", ReadWrite)
	if err := r.Lock(); err != nil {
		t.Fatal(err)
	}
	want := []Info{{"pci:0000:00:04.0", 64 << 10, 0o600, os.Getpid()}, {Name: "pci:0000:00:05.0"}}
	if got := Devices(); !reflect.DeepEqual(got, want) {
		t.Errorf("devices %v, want %v", got, want)
	}
}
