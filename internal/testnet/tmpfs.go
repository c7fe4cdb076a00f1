package testnet

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TmpFS is a file system of the test's own that can run full.
type TmpFS struct {
	// Dir is where it is mounted.
	Dir string
	t   testing.TB
}

// NewTmpFS mounts a tmpfs of size bytes, a multiple of the page size, and
// unmounts it when the test ends. It needs root.
func NewTmpFS(t testing.TB, size int) *TmpFS {
	t.Helper()
	f := &TmpFS{Dir: t.TempDir(), t: t}
	if err := unix.Mount("muennet-test", f.Dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, sizeOption(size)); err != nil {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(f.Dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount a tmpfs: %v", err)
		}
	})
	return f
}

func sizeOption(size int) string { return fmt.Sprintf("size=%d,mode=0755", size) }

// Resize changes the size to size bytes, at least as many as are used.
func (f *TmpFS) Resize(size int) {
	f.t.Helper()
	if err := unix.Mount("", f.Dir, "", unix.MS_REMOUNT|unix.MS_NOSUID|unix.MS_NODEV, sizeOption(size)); err != nil {
		f.t.Fatalf("resize a tmpfs: %v", err)
	}
}

// Fill uses up the free space. empty frees it again.
func (f *TmpFS) Fill() (empty func()) {
	f.t.Helper()
	path := filepath.Join(f.Dir, "filler")
	file, err := os.Create(path)
	if err != nil {
		f.t.Fatal(err)
	}
	defer file.Close()
	page := make([]byte, os.Getpagesize())
	for err == nil {
		_, err = file.Write(page)
	}
	if f.Free() != 0 {
		f.t.Fatalf("a full tmpfs has room for %d bytes: %v", f.Free(), err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			f.t.Error(err)
		}
	}
}

// Free returns the free space in bytes.
func (f *TmpFS) Free() int {
	f.t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(f.Dir, &st); err != nil {
		f.t.Fatal(err)
	}
	return int(st.Bavail) * int(st.Bsize)
}

// PunchHole frees the first size bytes of a file, whose length stays.
func PunchHole(t testing.TB, path string, size int64) {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, size); err != nil {
		t.Fatal(err)
	}
}
