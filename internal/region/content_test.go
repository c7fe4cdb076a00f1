package region

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/shmstream"
)

// withHeader returns a region of size bytes that begins with these words.
func withHeader(size int, words ...uint64) []byte {
	m := bytes.Repeat([]byte("data"), size/4)
	clear(m[:MinSize])
	for i, w := range words {
		for b := range 8 {
			m[8*i+b] = byte(w >> (8 * b))
		}
	}
	return m
}

// What a writer may overwrite. A refused file is not changed, however it is
// named, and its content is not revealed.
func TestContent(t *testing.T) {
	const size = 1064 // ten elements of 100 bytes
	text := bytes.Repeat([]byte("secret! "), size/8)
	behind := make([]byte, size)
	behind[size-1] = 1
	written := make([]byte, size)
	w, err := shmstream.NewWriter(written)
	if err == nil {
		err = w.Start(shmstream.WriterConfig{Protocol: 1, Size: 100})
	}
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("element"))
	stopped := bytes.Clone(written)
	clear(stopped[shmstream.EpochOffset:shmstream.ProtocolOffset])
	for _, c := range []struct {
		name    string
		bytes   []byte
		refused bool
	}{
		{"zeros", make([]byte, size), false},
		{"active channel", written, false},
		{"inactive channel", stopped, false},
		{"channel with garbage in its header", withHeader(size, shmstream.Transport, 5, 0, 1<<40, 1<<40, 9, 0, 1), false},
		{"inactive channel without transport", withHeader(size, 0, 0, 1, 100, 10, 0, 7, 7), false},
		{"text", text, true},
		{"zeros, then a byte", behind, true},
		{"header of zeros, then data", withHeader(size), true},
		{"another transport", withHeader(size, shmstream.Transport+1, 0, 1, 100, 10, 0, 7, 7), true},
		{"active without transport", withHeader(size, 0, 1, 1, 100, 10, 0, 7, 7), true},
		{"inactive, protocol 0", withHeader(size, 0, 0, 0, 100, 10, 0, 7, 7), true},
		{"inactive, size 0", withHeader(size, 0, 0, 1, 0, 10, 0, 7, 7), true},
		{"inactive, elements 0", withHeader(size, 0, 0, 1, 100, 0, 0, 0, 0), true},
		{"inactive, too many elements", withHeader(size, 0, 0, 1, 100, 11, 0, 7, 7), true},
		{"inactive, product overflows", withHeader(size, 0, 0, 1, 4, 1<<62, 0, 7, 7), true},
		{"inactive, reserved is used", withHeader(size, 0, 0, 1, 100, 10, 1, 7, 7), true},
		{"inactive, counters contradict", withHeader(size, 0, 0, 1, 100, 10, 0, 6, 7), true},
		{"inactive, counters far apart", withHeader(size, 0, 0, 1, 100, 10, 0, 18, 7), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			// As a window: the bytes around it do not matter.
			around := bytes.Join([][]byte{text[:128], c.bytes, text[:128]}, nil)
			for spec, content := range map[string][]byte{"f": c.bytes, "f@128+1064": around} {
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
				before := descriptors(t)
				r, err := Open(dir, spec, ReadWrite)
				if errors.Is(err, ErrNoChannel) != c.refused || !c.refused && err != nil {
					t.Errorf("%s: %v, want refused = %v", spec, err, c.refused)
				}
				if r != nil {
					r.Close()
				} else {
					what := map[string]string{"f": "file", "f@128+1064": "window"}[spec]
					wantError(t, err, dir, "open channel "+spec+": a "+what+" of 1064 bytes that is neither a channel nor all zeros: a writer would overwrite it; force=1 allows that")
				}
				// For reading, or for overwriting on purpose,
				// any content is accepted.
				for _, access := range []Access{ReadOnly, Inspect, Overwrite} {
					r, err := Open(dir, spec, access)
					if err != nil {
						t.Errorf("%s, access %d: %v", spec, access, err)
						continue
					}
					r.Close()
				}
				if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, content) {
					t.Errorf("%s: the file was changed, %v", spec, err)
				}
				if after := descriptors(t); after != before {
					t.Errorf("%s: %d open files afterwards, %d before", spec, after, before)
				}
			}
		})
	}
}

// Overwrite is for a writer.
func TestOverwrite(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), bytes.Repeat([]byte("x"), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	r := open(t, dir+"/f", Overwrite)
	if err := r.Lock(); err != nil {
		t.Fatal(err)
	}
	r.Bytes()[0] = 7
}

// Checking a fresh file costs nothing, however large: it allocates no memory,
// and would take hours if it read the holes.
func TestContentOfHoles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	const size = 1 << 42
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Skipf("no file of 4 TiB: %v", err)
	}
	if at, err := unix.Seek(int(f.Fd()), 0, unix.SEEK_DATA); err != unix.ENXIO {
		t.Skipf("the file system does not tell holes: data at %d, %v", at, err)
	}
	check := func() error {
		r := &Region{fd: int(f.Fd())}
		return r.checkContent(0, size)
	}
	if err := check(); err != nil {
		t.Error(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Blocks != 0 {
		t.Errorf("%d blocks taken, %v", st.Blocks, err)
	}
	// Data between holes is found; zeros are not data.
	for content, refused := range map[byte]bool{0: false, 1: true} {
		if _, err := f.WriteAt([]byte{content}, size/2); err != nil {
			t.Fatal(err)
		}
		if err := check(); errors.Is(err, ErrNoChannel) != refused {
			t.Errorf("byte %d between holes: %v", content, err)
		}
	}
}

// A file that shrinks during the check is an error, not an endless loop.
func TestContentShrinks(t *testing.T) {
	_, path := file(t, 4096)
	r := open(t, path, ReadOnly)
	if err := os.WriteFile(path, make([]byte, 100), 0o600); err != nil { // data, not a hole
		t.Fatal(err)
	}
	wantError(t, r.checkContent(0, 4096), "", "read: unexpected EOF")
}

func TestCheckHeader(t *testing.T) {
	_, path := file(t, 4096)
	r := open(t, path, ReadOnly)
	if err := r.CheckHeader(); err != nil {
		t.Errorf("fresh: %v", err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.CheckHeader(); !errors.Is(err, ErrNoChannel) {
		t.Errorf("garbage: %v", err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := r.CheckHeader(); !errors.Is(err, ErrFault) {
		t.Errorf("gone: %v", err)
	}
	r.Close()
	if err := r.CheckHeader(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// Which errors mean that a file may still grow.
func TestTooSmall(t *testing.T) {
	dir, _ := file(t, 4096)
	if err := os.WriteFile(filepath.Join(dir, "small"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for spec, want := range map[string]bool{"small": true, "c@4K+64": true, "c@0+63": true, "no": false, "c@0+64": false} {
		r, err := Open(dir, spec, ReadOnly)
		if errors.Is(err, ErrTooSmall) != want {
			t.Errorf("%s: %v, want ErrTooSmall = %v", spec, err, want)
		}
		if r != nil {
			r.Close()
		}
	}
}
