package initrd

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func archive(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := New(&b)
	w.Character("dev/console", 5, 1)
	w.File("init", 0o755, []byte("program"))
	w.File("lib/modules/a.ko", 0o644, nil)
	w.File("lib/modules/b.ko", 0o400, []byte("four"))
	w.Directory("lib")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestGolden has each field of the format in its place. That the kernel takes
// it is what the tests of virtual machines show.
func TestGolden(t *testing.T) {
	var b bytes.Buffer
	w := New(&b)
	w.File("init", 0o755, []byte("program"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	zero := "00000000"
	want := "070701" + "00000001" + "000081ED" + zero + zero + "00000001" + zero + "00000007" + zero + zero + zero + zero + "00000005" + zero +
		"init\x00\x00" + "program\x00" +
		"070701" + "00000002" + zero + zero + zero + "00000001" + zero + zero + zero + zero + zero + zero + "0000000B" + zero +
		"TRAILER!!!\x00\x00\x00\x00"
	if got := b.String(); got != want {
		t.Errorf("written:\n%q\nwant:\n%q", got, want)
	}
}

func TestTheSameFilesMakeTheSameBytes(t *testing.T) {
	if !bytes.Equal(archive(t), archive(t)) {
		t.Error("two archives of the same files differ")
	}
}

func TestBadNames(t *testing.T) {
	for _, name := range []string{"/init", ""} {
		w := New(&bytes.Buffer{})
		w.File(name, 0o755, nil)
		if err := w.Close(); err == nil || !strings.Contains(err.Error(), "relative") {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

// full takes so many bytes and no more.
type full struct{ left int }

var errFull = errors.New("disk full")

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriteErrors(t *testing.T) {
	all := len(archive(t))
	for left := range all {
		w := New(&full{left})
		w.Character("dev/console", 5, 1)
		w.File("init", 0o755, []byte("program"))
		w.File("lib/modules/a.ko", 0o644, nil)
		w.File("lib/modules/b.ko", 0o400, []byte("four"))
		if err := w.Close(); !errors.Is(err, errFull) {
			t.Fatalf("with room for %d of %d bytes: %v", left, all, err)
		}
	}
}
