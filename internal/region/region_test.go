package region

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestOpenShares(t *testing.T) {
	dir, path := file(t, 1000) // neither a multiple of 8 nor of a page
	w, err := Open(dir, "c", ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r := open(t, path, ReadOnly)
	if w.Name() != "c" || r.Name() != path || w.Path() != path || r.Path() != path || w.Size() != 1000 || len(r.Bytes()) != 1000 {
		t.Errorf("names %q %q, paths %q %q, sizes %d %d", w.Name(), r.Name(), w.Path(), r.Path(), w.Size(), len(r.Bytes()))
	}
	w.Bytes()[999] = 7
	if r.Bytes()[999] != 7 {
		t.Error("a store through one mapping is not visible in the other")
	}
	if err := w.Intact(); err != nil {
		t.Error(err)
	}
}

// Windows within a page, across pages, and at the end.
func TestWindow(t *testing.T) {
	_, path := file(t, 3*4096)
	whole := open(t, path, ReadWrite).Bytes()
	for i := range whole {
		whole[i] = byte(i / 8)
	}
	for _, c := range []struct {
		spec           string
		offset, length int
	}{
		{"@0+12K", 0, 12288}, {"@8+64", 8, 64}, {"@4088+100", 4088, 100}, {"@4K+4K", 4096, 4096}, {"@8200+4088", 8200, 4088},
	} {
		b := open(t, path+c.spec, ReadOnly).Bytes()
		if !bytes.Equal(b, whole[c.offset:c.offset+c.length]) {
			t.Errorf("%s maps other bytes", c.spec)
		}
		if cap(b) != c.length {
			t.Errorf("%s: capacity %d reaches beyond the window", c.spec, cap(b))
		}
		if uintptr(unsafe.Pointer(&b[0]))%8 != 0 {
			t.Errorf("%s is not aligned to 8", c.spec)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int64{"small": 63, "empty": 0, "page": 4096} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(sock)
	if err := unix.Bind(sock, &unix.SockaddrUnix{Name: filepath.Join(dir, "sock")}); err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)
	for _, c := range []struct{ spec, want string }{
		{"a/b", `parse channel "a/b": want a name without '/' or an absolute path`},
		{"no", "open channel no: not in %DIR; to create it: muennet --channels %DIR channel create no --size 1M: no such file or directory"},
		{"a|b@1M+4K", "open channel a|b@1M+4K: not in %DIR; to create it: muennet --channels %DIR channel create 'a|b' --size 1028K: no such file or directory"},
		{"/no/where/x", "open channel /no/where/x: not in /no/where; to create it: muennet --channels /no/where channel create x --size 1M: no such file or directory"},
		{plainDir + "/no such", "open channel " + plainDir + "/no such: not in " + plainDir + "; to create it: muennet channel create 'no such' --size 1M: no such file or directory"},
		{"small", "open channel small: 63 bytes are too small: a channel's header takes 64"},
		{"empty", "open channel empty: 0 bytes are too small: a channel's header takes 64"},
		{"page@0+63", "open channel page@0+63: 63 bytes are too small: a channel's header takes 64"},
		{"page@4032+128", "open channel page@4032+128: the window ends at byte 4160, the file at 4096"},
		{"page@4096+64", "open channel page@4096+64: the window ends at byte 4160, the file at 4096"},
		{"fifo", "open channel fifo: it is a FIFO: want a regular file"},
		{"sock", "open channel sock: it is a socket: want a regular file"},
		{dir, "open channel %DIR: it is a directory: want a regular file"},
		{"/dev/null", "open channel /dev/null: it is a character device: want a regular file"},
		{"page/x", `parse channel "page/x": want a name without '/' or an absolute path`},
		{dir + "/page/x", "open channel %DIR/page/x: for reading: not a directory"},
	} {
		r, err := Open(dir, c.spec, ReadOnly)
		if r != nil {
			t.Errorf("Open(%q) returned a region", c.spec)
		}
		wantError(t, err, dir, c.want)
	}
	for _, c := range []struct{ spec, want string }{
		{dir, "open channel %DIR: it is a directory: want a regular file"},
		{dir + "/page/x", "open channel %DIR/page/x: for writing: not a directory"},
		{"fifo", "open channel fifo: it is a FIFO: want a regular file"},
	} {
		_, err := Open(dir, c.spec, ReadWrite)
		wantError(t, err, dir, c.want)
	}
	if _, err := Open(dir, "no", ReadOnly); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d open files after the errors, %d before", after, before)
	}
}

// Permissions apply as to any program: the error says what the process wanted.
func TestOpenWithoutPermission(t *testing.T) {
	dir, err := os.MkdirTemp("", "region")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Create(dir, "c", 4096, 0o444); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "c")
	if got := run(t, "open", path, "ro"); got != "<nil>" {
		t.Errorf("to read a file of mode 0444: %s", got)
	}
	if got, want := run(t, "open", path, "rw"), "open channel "+path+": for writing: permission denied"; got != want {
		t.Errorf("to write a file of mode 0444: %q, want %q", got, want)
	}
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if got, want := run(t, "open", path, "ro"), "open channel "+path+": for reading: permission denied"; got != want {
		t.Errorf("to read a file of mode 0: %q, want %q", got, want)
	}
}

// A descriptor must neither be inherited by child processes nor leak.
func TestDescriptors(t *testing.T) {
	_, path := file(t, 4096)
	before := descriptors(t)
	r, err := Open("", path, ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if flags, err := unix.FcntlInt(uintptr(r.fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags %#x, %v: want FD_CLOEXEC", flags, err)
	}
	if err := r.Lock(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d open files after Close, %d before", after, before)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(maps), path) {
		t.Error("the file is still mapped after Close")
	}
	if r.WriterLocked() {
		t.Error("a closed region reports a writer")
	}
	for _, err := range []error{r.Lock(), r.Intact()} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("after Close: %v, want os.ErrClosed", err)
		}
	}
}
