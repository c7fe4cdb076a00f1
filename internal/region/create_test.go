package region

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCreate(t *testing.T) {
	before := descriptors(t)
	dir := filepath.Join(t.TempDir(), "new", "dir")
	old := syscall.Umask(0o077)
	err := Create(dir, "x|out", 100_000, 0o664)
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "x|out")
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	if st.Size != 100_000 || st.Mode&0o7777 != 0o664 || st.Blocks*512 < st.Size {
		t.Errorf("size %d, mode %#o, %d bytes taken", st.Size, st.Mode&0o7777, st.Blocks*512)
	}
	if content, err := os.ReadFile(path); err != nil || !bytes.Equal(content, make([]byte, 100_000)) {
		t.Errorf("the file is not all zero, %v", err)
	}
	err = Create(dir, "x|out", 64, 0o600)
	wantError(t, err, dir, "create channel x|out: in %DIR: file exists")
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v is not fs.ErrExist", err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 100_000 {
		t.Errorf("the existing file was touched: %v, %v", info, err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d open files afterwards, %d before", after, before)
	}
}

// An absolute path is a channel in any directory.
func TestCreateAbsolute(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := Create("/nowhere", path, 4096, 0o640); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 4096 || info.Mode() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
	wantError(t, Create(dir, path+"@0+64", 64, 0o600), dir, "create channel %DIR/a@0+64: the name contains '@': want no '@', no comma, no white space")
	wantError(t, Create(dir, dir+"/", 64, 0o600), dir, "create channel %DIR/: the name is empty")
	wantError(t, Create(dir, dir+"/x,y/a", 64, 0o600), dir, "create channel %DIR/x,y/a: the name contains ',': want no '@', no comma, no white space")
	missing := filepath.Join(dir, "missing", "a")
	wantError(t, Create(dir, missing, 64, 0o600), dir, "create channel %DIR/missing/a: in %DIR/missing/: no such file or directory")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestCreateErrors(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		size int64
		mode os.FileMode
		want string
	}{
		{"", 64, 0o600, "create channel : the name is empty"},
		{"..", 64, 0o600, "create channel ..: the name is a directory"},
		{"a/b", 64, 0o600, "create channel a/b: want a name without '/' or an absolute path"},
		{"pci:1", 64, 0o600, `create channel pci:1: names that begin with "pci:" are PCI devices, not files`},
		{"a@b", 64, 0o600, "create channel a@b: the name contains '@': want no '@', no comma, no white space"},
		{"a,b", 64, 0o600, "create channel a,b: the name contains ',': want no '@', no comma, no white space"},
		{"a b", 64, 0o600, "create channel a b: the name contains ' ': want no '@', no comma, no white space"},
		{"a\x00", 64, 0o600, "create channel a\x00: the name contains '\\x00': want no '@', no comma, no white space"},
		{"a", 63, 0o600, "create channel a: size 63: want at least 64 bytes"},
		{"a", -1, 0o600, "create channel a: size -1: want at least 64 bytes"},
		{"a", 64, os.ModeSetuid | 0o600, "create channel a: mode urw-------: want permission bits only"},
	} {
		wantError(t, Create(dir, c.name, c.size, c.mode), dir, c.want)
	}
	if err := os.WriteFile(filepath.Join(dir, "plain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, Create(filepath.Join(dir, "plain"), "a", 64, 0o600), dir, "create channel a: mkdir %DIR/plain: not a directory")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// A size beyond the space of the file system fails at once and leaves no file.
func TestCreateFull(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "region")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	if uint32(st.Type) != unix.TMPFS_MAGIC || st.Blocks == 0 {
		t.Skip("/dev/shm is not a tmpfs with a limit")
	}
	before := descriptors(t)
	err = Create(dir, "big", int64(st.Blocks)*int64(st.Bsize)*2, 0o600)
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("%v, want ENOSPC", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d open files afterwards, %d before", after, before)
	}
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"b", "a", "w"} {
		if err := Create(dir, name, 4096<<i, 0o600>>i); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(
		os.Mkdir(filepath.Join(dir, "directory"), 0o700),
		os.Symlink("nowhere", filepath.Join(dir, "dangling")),
		os.Symlink("b", filepath.Join(dir, "link")), // must not lead out of the directory
		os.WriteFile(filepath.Join(dir, "small"), nil, 0o640),
		unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "w"), 0o666); err != nil {
		t.Fatal(err)
	}
	whole, _ := holdLock(t, filepath.Join(dir, "b"))
	window, _ := holdLock(t, filepath.Join(dir, "w")+"@64+128")
	before := descriptors(t)
	want := []Info{
		{"a", 8192, 0o300, 0},
		{"b", 4096, 0o600, whole},
		{"small", 0, 0o640, 0},
		{"w", 16384, 0o666, window},
	}
	if got, err := ListWriters(dir); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v, %v\nwant %v", got, err, want)
	}
	// To know the writers takes a look at all processes.
	want[1].Writer, want[3].Writer = 0, 0
	if got, err := List(dir); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("without writers: got  %v, %v\nwant %v", got, err, want)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d open files afterwards, %d before", after, before)
	}
}

func TestListErrors(t *testing.T) {
	_, err := List("/no/where")
	wantError(t, err, "", "list channels: open /no/where: no such file or directory")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}
