package doorbell

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memory is a configurable kind of memory.
type memory struct {
	futex      bool
	events     string
	descriptor int
}

func (m memory) Futex() bool       { return m.futex }
func (m memory) EventPath() string { return m.events }
func (m memory) Descriptor() int   { return m.descriptor }

// held is the lock of a writer for which sleeps are long.
func held() bool { return true }

// pageFrames returns memory that this process has mapped by page frame number,
// as a muenfs and a PCI device are: the kernel's vvar page. It can be read, but
// futex(2) does not work on it.
func pageFrames(t *testing.T) []byte {
	t.Helper()
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		if strings.HasSuffix(lines.Text(), "[vvar]") {
			var first uintptr
			if _, err := fmt.Sscanf(lines.Text(), "%x-", &first); err != nil {
				t.Fatal(err)
			}
			// The extra pointer tells vet that this is not Go
			// memory.
			return unsafe.Slice(*(**byte)(unsafe.Pointer(&first)), 64)
		}
	}
	t.Fatal("no [vvar] in /proc/self/maps")
	return nil
}

// shrinking returns a channel's memory, and a function that truncates and
// restores it.
func shrinking(t *testing.T) (region []byte, resize func(int64)) {
	t.Helper()
	fd, err := unix.MemfdCreate("channel", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	resize = func(n int64) {
		if err := unix.Ftruncate(fd, n); err != nil {
			t.Fatal(err)
		}
	}
	resize(4096)
	region, err = unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(region) })
	return region, resize
}

// eventFile creates the event file of a channel. received returns the number of
// events since its last call. A FIFO stands in for the file: it accepts bytes
// and keeps the order of open, write and close.
func eventFile(t *testing.T, path string) (received func() int) {
	t.Helper()
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func() int {
		buf := make([]byte, 1<<20)
		n, err := unix.Read(fd, buf)
		if err == unix.EAGAIN {
			return 0
		}
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// eventPath returns a path for an event file.
func eventPath(t *testing.T) string { return filepath.Join(t.TempDir(), "net0|in") }
