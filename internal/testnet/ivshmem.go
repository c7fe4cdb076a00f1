package testnet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Ivshmem makes an ivshmem device in dir, as sysfs shows one that is not
// enabled in /sys/bus/pci/devices, but with plain files. Its memory of size
// bytes is one file with two names, resource2 and resource2_wc; Ivshmem returns
// the path of the first. A size of 0 makes a device without BAR 2.
func Ivshmem(t testing.TB, dir, address string, size int64) (memory string) {
	t.Helper()
	base := filepath.Join(dir, address)
	if err := os.MkdirAll(base, 0o755); err != nil {
		t.Fatal(err)
	}
	bars := make([]string, 13) // six BARs, the ROM, and windows of bridges
	for i := range bars {
		bars[i] = fmt.Sprintf("0x%016x 0x%016x 0x%016x", 0, 0, 0)
	}
	bars[0] = "0x00000000febd1000 0x00000000febd10ff 0x0000000000040200"
	if size > 0 {
		// 64-bit, prefetchable memory.
		bars[2] = fmt.Sprintf("0x%016x 0x%016x 0x%016x", 0xfe000000, 0xfe000000+size-1, 0x14220c)
	}
	for name, content := range map[string]string{
		"vendor": "0x1af4\n", "device": "0x1110\n", "enable": "0\n", "resource": strings.Join(bars, "\n") + "\n",
	} {
		if err := os.WriteFile(filepath.Join(base, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	memory = filepath.Join(base, "resource2")
	if size == 0 {
		return memory
	}
	if err := os.WriteFile(memory, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(memory, memory+"_wc"); err != nil {
		t.Fatal(err)
	}
	return memory
}
