package region

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/testnet"
)

// sparse makes a file without allocated memory.
func sparse(t *testing.T, path string, size int64) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil {
		t.Fatal(err)
	}
}

// A SIGBUS from a hole that cannot be filled, for a reader and for a writer.
func TestGuardFullFileSystem(t *testing.T) {
	testnet.Privileged(t)
	f := testnet.NewTmpFS(t, 256<<10)
	path := filepath.Join(f.Dir, "c")
	sparse(t, path, 64<<10)
	w, r := open(t, path, ReadWrite), open(t, path, ReadOnly)
	empty := f.Fill()
	for name, touch := range map[string]func(){
		"store": func() { w.Bytes()[8192] = 1 },
		"load":  func() { _ = append([]byte(nil), r.Bytes()[8192:]...) },
	} {
		err := Guard(touch)
		if !errors.Is(err, ErrNoMemory) || !errors.Is(err, ErrFault) || errors.Is(err, ErrShrank) {
			t.Errorf("%s: %v", name, err)
		}
		wantError(t, err, f.Dir, "no memory left in the file system of %DIR/c")
	}
	for name, region := range map[string]*Region{"writer": w, "reader": r} {
		if err := region.Intact(); err != nil {
			t.Errorf("%s: the file did not shrink: %v", name, err)
		}
		if err := region.Restore(); !errors.Is(err, ErrNoMemory) {
			t.Errorf("%s: restored on a full file system: %v", name, err)
		}
	}
	empty()
	for name, region := range map[string]*Region{"writer": w, "reader": r} {
		if err := region.Restore(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.Fill()
	if err := Guard(func() { clear(w.Bytes()) }); err != nil {
		t.Errorf("restored only in part: %v", err)
	}
}

// Reasons that no fault can be provoked for here, queried directly.
func TestWhy(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c")
	sparse(t, path, 64<<10)
	r := open(t, path, ReadOnly)
	err := r.diagnose(4096)
	if !errors.Is(err, ErrNoMemory) {
		t.Errorf("%v is not ErrNoMemory", err)
	}
	wantError(t, err, dir, "no memory left for the hole at byte 4096 of %DIR/c")

	// A descriptor that cannot read stands in for a disk that cannot.
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(r.fd)
	r.fd = fd
	err = r.diagnose(4096)
	if !errors.Is(err, ErrUnreadable) || !errors.Is(err, ErrFault) {
		t.Errorf("%v is not ErrUnreadable", err)
	}
	wantError(t, err, dir, "%DIR/c: the file cannot be read: bad file descriptor")
}

func TestAllocate(t *testing.T) {
	testnet.Privileged(t)
	f := testnet.NewTmpFS(t, 256<<10)
	path := filepath.Join(f.Dir, "c")
	sparse(t, path, 1<<20)
	w := open(t, path, ReadWrite)
	before := f.Free()
	err := w.Allocate()
	if !errors.Is(err, ErrNoMemory) {
		t.Errorf("1 MiB in 256 KiB: %v", err)
	}
	wantError(t, err, f.Dir, "no memory left in the file system of %DIR/c")
	if after := f.Free(); after != before {
		t.Errorf("%d bytes are free, %d before", after, before)
	}
	window := open(t, path+"@64K+64K", ReadWrite)
	window.Bytes()[100] = 7
	if err := window.Allocate(); err != nil {
		t.Errorf("64 KiB in 256 KiB: %v", err)
	}
	if after := f.Free(); after != before-64<<10 {
		t.Errorf("a window of 64 KiB took %d bytes", before-after)
	}
	if window.Bytes()[100] != 7 {
		t.Error("the content of the file is lost")
	}
	if err := open(t, path, ReadOnly).Allocate(); err != nil {
		t.Errorf("a reader must not allocate: %v", err)
	}
	f.Resize(4 << 20)
	if err := w.Allocate(); err != nil {
		t.Error(err)
	}
	f.Fill()
	if err := Guard(func() { clear(w.Bytes()) }); err != nil {
		t.Errorf("allocated only in part: %v", err)
	}
}

// A file system without support for allocation works nevertheless.
func TestAllocateUnsupported(t *testing.T) {
	answers := kernel
	t.Cleanup(func() { kernel = answers })
	_, path := file(t, 4096)
	w := open(t, path, ReadWrite)
	for errno, usable := range map[unix.Errno]bool{
		unix.ENOSYS: true, unix.EOPNOTSUPP: true, unix.EPERM: true,
		unix.ENOSPC: false, unix.EDQUOT: false, unix.ENOMEM: false,
	} {
		kernel.fallocate = func(int, uint32, int64, int64) error { return errno }
		if err := w.Allocate(); (err == nil) != usable || !usable && !errors.Is(err, ErrNoMemory) {
			t.Errorf("%v: %v", errno, err)
		}
	}
}

// A region that is closed during Restore is no longer accessed.
func TestRestoreBesideClose(t *testing.T) {
	_, path := file(t, 4<<20)
	for range 50 {
		r := open(t, path, ReadOnly)
		done := make(chan error)
		go func() {
			for {
				if err := r.Restore(); err != nil {
					done <- err
					return
				}
			}
		}()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, os.ErrClosed) {
			t.Errorf("%v is not os.ErrClosed", err)
		}
	}
}
