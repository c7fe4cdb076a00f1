package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The memory that two ends share holds three links, one for each format. Each
// end has these interfaces on it:
//
//	offset  size  channel
//	0       1 MiB net0, left to right
//	1 MiB   1 MiB net0, right to left
//	2 MiB   2 MiB eth0, the same
//	4 MiB   2 MiB raw0, the same
//	6 MiB   2 MiB unused: the size is a power of 2
const memorySize = 8 << 20

// pciMemory is the shared memory as a guest names it.
const pciMemory = "pci:0000:00:04.0"

// sharedMemory makes the file behind a shared memory.
func sharedMemory(t *testing.T) (path string) {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "muennet-vm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "memory")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(memorySize); err != nil {
		t.Fatal(err)
	}
	return path
}

// side is one end of the links of a shared memory.
type side struct {
	v4, v6 string // with %d for the interface: 0 for net0, 1 for eth0
	out    int    // its out-channel, of the two of each link
}

var (
	left  = side{"10.0.%d.1", "fd00:%d::1", 0}
	right = side{"10.0.%d.2", "fd00:%d::2", 1}
)

// addr returns an address of this side.
func (s side) addr(format string, link int) string { return fmt.Sprintf(format, link) }

// parameters returns those of muennet for the three interfaces in a memory, by
// its name, and for all of them or the first ones.
func (s side) parameters(memory string, count int) []string {
	var in, out []string
	for link := range count {
		window := func(channel int) string { return fmt.Sprintf("%s@%dM+1M", memory, 2*link+channel) }
		in, out = append(in, window(1-s.out)), append(out, window(s.out))
	}
	list := func(key string, values ...string) string { return key + "=" + strings.Join(values[:count], ",") }
	return []string{
		list("name", "net0", "eth0", "raw0"), list("flags", "net_hdr", "eth_dev", ""),
		list("in", in...), list("out", out...),
		list("reader_protocol", "1", "2", "3"), list("writer_protocol", "1", "2", "3"),
	}
}

// words returns the same for the kernel command line of a guest, with
// addresses.
func (s side) words(count int) (words []string) {
	for _, p := range s.parameters(pciMemory, count) {
		words = append(words, "muennet."+p)
	}
	return append(words, s.addresses())
}

// addresses returns those of net0 and eth0 as init takes them.
func (s side) addresses() string {
	var all []string
	for link, name := range []string{"net0", "eth0"} {
		all = append(all, name+"="+s.addr(s.v4, link)+"/24", name+"="+s.addr(s.v6, link)+"/64")
	}
	return "address=" + strings.Join(all, ",")
}
