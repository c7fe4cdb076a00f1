package region

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// Which file is mapped, depending on the measured speed.
func TestMappingChoice(t *testing.T) {
	const ours, slow, slower = 1000, 20_000, 30_000 // nanoseconds for a sample
	for _, c := range []struct {
		name                string
		device              bool // like amd64
		uncached, combining time.Duration
		noCombining         bool
		access              Access
		want                string
		wantFile            string // the file that must be mapped
	}{
		{"cached by the hypervisor, in", true, ours, ours, false, ReadOnly, "cached, reads 4096 MB/s", "resource2"},
		{"cached by the hypervisor, out", true, ours, ours, false, ReadWrite, "cached, reads 4096 MB/s", "resource2"},
		{"slow, in", true, slower, slow, false, ReadOnly, "uncached, reads 136 MB/s", "resource2"},
		{"slow, look", true, slower, slow, false, Inspect, "uncached, reads 136 MB/s", "resource2"},
		{"slow, out", true, slower, slow, false, ReadWrite, "write-combining, reads 204 MB/s", "resource2_wc"},
		{"slow, out, not prefetchable", true, slower, 0, true, ReadWrite, "uncached, reads 136 MB/s", "resource2"},
		{"just cached", true, 8 * ours, slow, false, ReadWrite, "cached, reads 512 MB/s", "resource2"},
		{"just not cached", true, 8*ours + 1, slow, false, ReadWrite, "write-combining, reads 204 MB/s", "resource2_wc"},
		{"arm64, in", false, 0, slow, false, ReadOnly, "write-combining, reads 204 MB/s", "resource2_wc"},
		{"arm64, out", false, 0, slow, false, ReadWrite, "write-combining, reads 204 MB/s", "resource2_wc"},
		{"arm64, cached by the hypervisor", false, 0, ours, false, ReadWrite, "cached, reads 4096 MB/s", "resource2_wc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			asKernel(t)
			_, memory := ivshmem(t, 4096)
			// In production the same memory; here two files, to
			// tell them apart.
			if err := errors.Join(os.Remove(memory+"_wc"), os.WriteFile(memory, page(1), 0o600)); err != nil {
				t.Fatal(err)
			}
			if !c.noCombining {
				if err := os.WriteFile(memory+"_wc", page(2), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			order, read := deviceOrder, readTime
			defer func() { deviceOrder, readTime = order, read }()
			deviceOrder = c.device
			readTime = func(mem []byte) time.Duration {
				switch mem[8] {
				case 1:
					if !c.device {
						t.Error("read Device memory")
					}
					return c.uncached
				case 2:
					return c.combining
				}
				return ours
			}
			before := spans()
			r, err := Open("", "pci:00:04.0", c.access)
			if err != nil {
				t.Fatal(err)
			}
			if now := spans(); now != before+1 {
				t.Errorf("%d extra mappings", now-before)
			}
			files := map[byte]string{1: "resource2", 2: "resource2_wc"}
			if got := files[r.Bytes()[8]]; r.Mapping() != c.want || got != c.wantFile {
				t.Errorf("%q of %s, want %q of %s", r.Mapping(), got, c.want, c.wantFile)
			}
			if err := r.Close(); err != nil || spans() != before {
				t.Errorf("%v, %d mappings left", err, spans()-before)
			}
		})
	}
}

// page returns a page filled with b.
func page(b byte) []byte { return []byte(strings.Repeat(string(rune(b)), 4096)) }

func spans() int {
	mapped.Lock()
	defer mapped.Unlock()
	return len(mapped.spans)
}

func TestMappingNotPrefetchable(t *testing.T) {
	dir, memory := ivshmem(t, 4096)
	if err := os.Remove(memory + "_wc"); err != nil {
		t.Fatal(err)
	}
	defer func(order bool) { deviceOrder = order }(deviceOrder)
	deviceOrder = false
	before := descriptors(t)
	_, err := Open("", "pci:00:04.0", ReadOnly)
	wantError(t, err, dir, "open channel pci:00:04.0: BAR 2 of device 0000:00:04.0 is not prefetchable: it would be mapped as Device memory, which does not support unaligned accesses")
	if after := descriptors(t); after != before {
		t.Errorf("%d open files afterwards, %d before", after, before)
	}
}

// The device is removed during the measurement: nothing stays mapped.
func TestMeasureFault(t *testing.T) {
	_, memory := ivshmem(t, 4096)
	defer func(read func([]byte) time.Duration) { readTime = read }(readTime)
	readTime = func(mem []byte) time.Duration {
		if err := os.Truncate(memory, 0); err != nil {
			t.Fatal(err)
		}
		return time.Duration(mem[0])
	}
	files, mappings := descriptors(t), spans()
	_, err := Open("", "pci:00:04.0", ReadWrite)
	if !errors.Is(err, ErrFault) {
		t.Errorf("%v is not ErrFault", err)
	}
	if descriptors(t) != files || spans() != mappings {
		t.Errorf("%d files and %d mappings are left", descriptors(t)-files, spans()-mappings)
	}
}

// The real measurement reads all of the sample and changes nothing. Memory that
// disappears during it is an error.
func TestMeasure(t *testing.T) {
	_, path := file(t, 2*sampleSize)
	r := open(t, path, ReadOnly) // stores would fault
	s, err := measure(r.Bytes())
	if err != nil || s.rate <= 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	if _, err := measure(r.Bytes()); !errors.Is(err, ErrFault) {
		t.Errorf("%v is not ErrFault", err)
	}
}
