package region

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/muennet/muennet/internal/names"
	"golang.org/x/sys/unix"
)

const (
	// ivshmemID is vendor and device of ivshmem-plain and ivshmem-doorbell
	// (QEMU, docs/specs/ivshmem-spec). Their BAR 2 is the shared memory.
	ivshmemID = "1af4:1110"

	// The files in sysfs for BAR 2 (Linux, Documentation/PCI/sysfs-pci).
	// Mapping the first gives uncached memory. Mapping the second, which
	// exists only for a prefetchable BAR, gives write-combining memory.
	memoryFile    = "resource2"
	combiningFile = "resource2_wc"
)

// pciDevices is the sysfs directory with the PCI devices. Only the tests of
// this package change it, before they open anything.
var pciDevices = "/sys/bus/pci/devices"

// device is the address of a PCI device in the format of sysfs, like
// 0000:00:04.0.
type device string

// file returns the path of one of the device's files in sysfs.
func (d device) file(name string) string { return filepath.Join(pciDevices, string(d), name) }

// read returns the content of one of the device's files, trimmed.
func (d device) read(name string) (string, error) {
	b, err := os.ReadFile(d.file(name))
	if err != nil {
		return "", fmt.Errorf("read %s of device %s: %w", name, d, err)
	}
	return strings.TrimSpace(string(b)), nil
}

// id returns vendor and device in the format of lspci(8), like 1af4:1110.
func (d device) id() (string, error) {
	vendor, err := d.read("vendor")
	if err != nil {
		return "", err
	}
	product, err := d.read("device")
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(vendor, "0x") + ":" + strings.TrimPrefix(product, "0x"), nil
}

// check makes sure that the device exists, is an ivshmem device, and has memory
// that can be mapped. It changes nothing.
func (d device) check() error {
	if _, err := os.Stat(d.file("")); errors.Is(err, fs.ErrNotExist) {
		return d.absent(err)
	}
	id, err := d.id()
	if err != nil {
		return err
	}
	if id != ivshmemID {
		return fmt.Errorf("device %s is %s, not an ivshmem device: want %s", d, id, ivshmemID)
	}
	bar, err := d.memory()
	if err != nil {
		return err
	}
	// The kernel maps whole pages. The BAR may start within a page if pages
	// are larger than 4 KiB.
	if page := uint64(os.Getpagesize()); bar%page != 0 {
		return fmt.Errorf("BAR 2 of device %s begins at %#x: mmap maps whole pages of %d bytes only", d, bar, page)
	}
	return nil
}

// absent returns the error for a missing device, and lists those that exist.
func (d device) absent(err error) error {
	if _, err := os.Stat(pciDevices); err != nil {
		return fmt.Errorf("look for device %s: no PCI bus, or no sysfs on /sys (mount -t sysfs none /sys): %w", d, err)
	}
	var found []string
	for _, other := range ivshmemDevices() {
		found = append(found, string(other))
	}
	if found == nil {
		return fmt.Errorf("no PCI device %s, and no ivshmem device at any address: %w", d, err)
	}
	return fmt.Errorf("no PCI device %s; ivshmem devices are %s: %w", d, strings.Join(found, ", "), err)
}

// memory returns the physical address of BAR 2. The file has a line for each
// BAR, with its first address, last address and flags.
func (d device) memory() (uint64, error) {
	text, err := d.read("resource")
	if err != nil {
		return 0, err
	}
	lines := strings.Split(text, "\n")
	if len(lines) < 3 {
		return 0, fmt.Errorf("read resource of device %s: %d lines, want one for BAR 2", d, len(lines))
	}
	var first, last, flags uint64
	if _, err := fmt.Sscanf(lines[2], "0x%x 0x%x 0x%x", &first, &last, &flags); err != nil {
		return 0, fmt.Errorf("read resource of device %s: line %q: %w", d, lines[2], err)
	}
	switch {
	case flags == 0:
		return 0, fmt.Errorf("device %s has no BAR 2, and so no shared memory: %w", d, fs.ErrNotExist)
	case first == 0:
		return 0, fmt.Errorf("BAR 2 of device %s has no address: neither firmware nor kernel gave it one", d)
	}
	return first, nil
}

// enable enables access to the device's memory. It stays enabled, because
// others may rely on it. The kernel counts how often a device is enabled, so
// one that is already enabled is left alone.
func (d device) enable() error {
	state, err := d.read("enable")
	if err != nil {
		return err
	}
	if state != "0" {
		return nil
	}
	if err := kernel.writeFile(d.file("enable"), []byte("1"), 0); err != nil {
		return fmt.Errorf("enable device %s: %w", d, err)
	}
	return nil
}

// ivshmemDevices returns the ivshmem devices of this system, sorted by address.
func ivshmemDevices() []device {
	entries, err := os.ReadDir(pciDevices)
	if err != nil {
		return nil
	}
	var found []device
	for _, e := range entries {
		d := device(e.Name())
		if id, err := d.id(); err == nil && id == ivshmemID {
			found = append(found, d)
		}
	}
	return found
}

// Devices describes the memory of the ivshmem devices of this system, sorted by
// address. [Open] accepts each Name. The size is 0 if a device has no memory.
func Devices() []Info {
	var infos []Info
	for _, d := range ivshmemDevices() {
		info := Info{Name: names.PCIPrefix + string(d)}
		var st unix.Stat_t
		if unix.Stat(d.file(memoryFile), &st) == nil {
			info.Size, info.Mode = st.Size, os.FileMode(st.Mode&0o777)
			id := idOf(&st)
			scanLocks(func(ino uint64) bool { return ino == id.ino }, func(pid int, other fileID, l heldLock) {
				if other == id && l.write {
					info.Writer = pid
				}
			})
		}
		infos = append(infos, info)
	}
	return infos
}

// isAt reports whether the open file is still the one at path.
func isAt(open *unix.Stat_t, path string) bool {
	var now unix.Stat_t
	return unix.Stat(path, &now) == nil && idOf(&now) == idOf(open)
}
