package region

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// asKernel lets the test replace parts of kernel until it ends.
func asKernel(t *testing.T) {
	t.Helper()
	before, dir := kernel, muenfsDir
	t.Cleanup(func() { kernel, muenfsDir = before, dir })
}

// mountMuenfs makes a directory that this package takes for a muenfs: files in
// it report its type, and those of mode 0400 cannot be opened for writing, not
// even by root.
func mountMuenfs(t *testing.T) (dir string) {
	t.Helper()
	asKernel(t)
	dir = t.TempDir()
	below := func(path string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }
	before := kernel
	kernel.statfs = func(path string, st *unix.Statfs_t) error {
		err := before.statfs(path, st)
		if err == nil && below(path) {
			st.Type = muenfsMagic
		}
		return err
	}
	kernel.fstatfs = func(fd int, st *unix.Statfs_t) error {
		err := before.fstatfs(fd, st)
		if path, e := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil && e == nil && below(path) {
			st.Type = muenfsMagic
		}
		return err
	}
	kernel.openat = func(at int, name string, flags int, mode uint32) (int, error) {
		path := pathAt(at, name)
		if info, err := os.Stat(path); below(path) && err == nil && flags&unix.O_RDWR != 0 && info.Mode().Perm()&0o222 == 0 {
			return -1, unix.EPERM
		}
		return before.openat(at, name, flags, mode)
	}
	return dir
}

// pathAt returns the path of the file that openat(2) would open.
func pathAt(dir int, name string) string {
	if dir == unix.AT_FDCWD {
		return name
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", dir))
	if err != nil {
		return name
	}
	return filepath.Join(path, name)
}

// channelFile creates a file as on a muenfs.
func channelFile(t *testing.T, dir, name string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := errors.Join(os.WriteFile(path, make([]byte, 8192), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

func TestMuenfs(t *testing.T) {
	dir := mountMuenfs(t)
	channelFile(t, dir, "x|out", 0o400)
	channelFile(t, dir, "x|in", 0o600)
	before := descriptors(t)
	for _, c := range []struct {
		spec   string
		access Access
		want   string // of the error
	}{
		{"x|out", ReadOnly, ""},
		{"x|out", Inspect, ""},
		{"x|in", ReadWrite, ""},
		{"x|in@4K+4K", ReadWrite, ""},
		{"x|in", Inspect, ""},
		{"x|in", ReadOnly, "open channel x|in: %DIR/x|in has mode 0600: the system's policy lets this subject write the channel: it can be an out, not an in"},
		{"x|out", ReadWrite, "open channel x|out: for writing: the system's policy lets this subject only read the channel: it can be an in, not an out: operation not permitted"},
		{"y|out", ReadOnly, "open channel y|out: not in %DIR, whose channels the system's policy defines ('x|in', 'x|out'): no such file or directory"},
	} {
		r, err := Open(dir, c.spec, c.access)
		if c.want != "" {
			wantError(t, err, dir, c.want)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.spec, err)
			continue
		}
		name, _, _ := strings.Cut(c.spec, "@")
		if r.Kind() != Muenfs || r.Futex() || r.EventPath() != "/muenevents/"+name || r.Mapping() != "" {
			t.Errorf("%s: kind %v, futex %v, events %q, mapping %q", c.spec, r.Kind(), r.Futex(), r.EventPath(), r.Mapping())
		}
		r.Close()
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d open files afterwards, %d before", after, before)
	}
	if err := Create(dir, "z", 4096, DefaultMode); err == nil {
		t.Error("a channel was created in a muenfs")
	} else {
		wantError(t, err, dir, "create channel z: %DIR is a muenfs: the system's policy defines its channels")
	}
}

// The mode of the file decides: a file that root may open for writing because
// its mode was changed is refused as well.
func TestMuenfsModeChanged(t *testing.T) {
	dir := mountMuenfs(t)
	channelFile(t, dir, "a", 0o400)
	kernel.openat = unix.Openat
	if os.Geteuid() == 0 {
		_, err := Open(dir, "a", ReadWrite)
		wantError(t, err, dir, "open channel a: %DIR/a has mode 0400: the system's policy lets this subject only read the channel: it can be an in, not an out")
	}
	// Without permission the error is about that, not about the policy.
	kernel.openat = func(int, string, int, uint32) (int, error) { return -1, unix.EACCES }
	_, err := Open(dir, "a", ReadWrite)
	wantError(t, err, dir, "open channel a: for writing: permission denied")
}

// Each system call may fail: the error says which, no descriptor stays open and
// nothing stays mapped.
func TestOpenStepsFail(t *testing.T) {
	dir := mountMuenfs(t)
	channelFile(t, dir, "a", 0o400)
	answers := kernel
	before := descriptors(t)
	for _, c := range []struct {
		fail func()
		want string
	}{
		{func() { kernel.openat = func(int, string, int, uint32) (int, error) { return -1, unix.ENXIO } }, "open channel a: for reading: no such device or address"},
		{func() { kernel.fstat = func(int, *unix.Stat_t) error { return unix.EIO } }, "open channel a: stat %DIR/a: input/output error"},
		{func() { kernel.fstatfs = func(int, *unix.Statfs_t) error { return unix.ENOSYS } }, "open channel a: find the file system of %DIR/a: function not implemented"},
		{func() {
			kernel.mmap = func(int, int64, int, int, int) ([]byte, error) { return nil, unix.EAGAIN }
		}, "open channel a: map 8192 bytes: resource temporarily unavailable"},
	} {
		kernel = answers
		c.fail()
		_, err := Open(dir, "a", ReadOnly)
		wantError(t, err, dir, c.want)
	}
	kernel = answers
	interrupted := 0
	kernel.openat = func(dir int, name string, flags int, mode uint32) (int, error) {
		if interrupted++; interrupted < 3 {
			return -1, unix.EINTR
		}
		return answers.openat(dir, name, flags, mode)
	}
	if r, err := Open(dir, "a", ReadOnly); err != nil {
		t.Errorf("after two interruptions: %v", err)
	} else {
		r.Close()
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d open files afterwards, %d before", after, before)
	}
	nothingMapped(t, dir)
}

// Nothing is mounted: the directory is missing, empty, or contains other files.
func TestMuenfsNotMounted(t *testing.T) {
	asKernel(t)
	muenfsDir = filepath.Join(t.TempDir(), "muenfs")
	want := "no muenfs is mounted on %DIR; to mount it: mount -t muenfs none %DIR"
	for range 2 {
		for _, spec := range []string{"x|out", muenfsDir + "/x|out", "x|out@0+64"} {
			for _, access := range []Access{ReadOnly, ReadWrite} {
				_, err := Open(muenfsDir, spec, access)
				wantError(t, err, muenfsDir, "open channel "+spec+": "+want+": no such file or directory")
				if !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%v is not fs.ErrNotExist", err)
				}
			}
		}
		_, err := List(muenfsDir)
		wantError(t, err, muenfsDir, "list channels: "+want+": file does not exist")
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v is not fs.ErrNotExist", err)
		}
		if err := os.MkdirAll(muenfsDir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Files there are ordinary channels.
	channelFile(t, muenfsDir, "plain", 0o600)
	r, err := Open(muenfsDir, "plain", ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Kind() != Plain {
		t.Errorf("a plain file in %s is %v", muenfsDir, r.Kind())
	}
	if infos, err := List(muenfsDir); err != nil || len(infos) != 1 {
		t.Errorf("list: %v, %v", infos, err)
	}
	if got := DefaultDir(); got != plainDir {
		t.Errorf("without a muenfs the channel directory is %s", got)
	}
}

func TestDefaultDirMuenfs(t *testing.T) {
	muenfsDir = mountMuenfs(t)
	if got := DefaultDir(); got != muenfsDir {
		t.Errorf("the channel directory is %s, want %s", got, muenfsDir)
	}
	if got := namesIn(muenfsDir); got != " (none)" {
		t.Errorf("an empty muenfs contains %q", got)
	}
	for i := range 9 {
		channelFile(t, muenfsDir, fmt.Sprint(i), 0o400)
	}
	if got := namesIn(muenfsDir); got != " (0, 1, 2, 3, 4, 5, 6, 7, ...)" {
		t.Errorf("channels %q", got)
	}
}

func TestIsMuenfs(t *testing.T) {
	if isMuenfs("/proc") || isMuenfs("/does/not/exist") {
		t.Error("an ordinary directory is taken for a muenfs")
	}
}

// Files on a sysfs can be mapped, but are not plain memory.
func TestOpenSysfs(t *testing.T) {
	asKernel(t)
	dir, path := file(t, 4096)
	kernel.fstatfs = func(_ int, st *unix.Statfs_t) error { st.Type = unix.SYSFS_MAGIC; return nil }
	_, err := Open("", path, ReadOnly)
	wantError(t, err, dir, "open channel %DIR/c: %DIR/c is on a sysfs: want pci:BUS:DEV.FN for the memory of a device")
}
