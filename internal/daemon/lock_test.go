package daemon

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLockExcludes: however acquire and release mix, one holds it.
func TestLockExcludes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	var holders, times atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				l, err := acquire(path)
				var inUse *InUseError
				if errors.As(err, &inUse) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if holders.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				times.Add(1)
				holders.Add(-1)
				if err := l.release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if times.Load() == 0 {
		t.Error("none ever got the lock")
	}
}

// TestLockMode: no other user can open the file, and so none can hold the lock.
func TestLockMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, left := range []fs.FileMode{0, 0o644, 0o666} { // of a crash; 0 = none
		if left != 0 {
			if err := errors.Join(os.WriteFile(path+".lock", []byte("1\n"), left), os.Chmod(path+".lock", left)); err != nil {
				t.Fatal(err)
			}
		}
		l, err := acquire(path)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := l.file.Stat(); err != nil || info.Mode() != 0o600 {
			t.Errorf("left with mode %o: mode is %v, %v", left, info.Mode(), err)
		}
		if err := l.release(); err != nil {
			t.Error(err)
		}
	}
}

// TestLockOfOthers: what stands in the place of the lock file is not used.
func TestLockOfOthers(t *testing.T) {
	for name, tc := range map[string]struct {
		make func(path string) error
		want string
	}{
		"link":      {func(p string) error { return os.Symlink(p+"x", p) }, "too many levels of symbolic links"},
		"fifo":      {func(p string) error { return unix.Mkfifo(p, 0o600) }, "is not a regular file"},
		"directory": {func(p string) error { return os.Mkdir(p, 0o700) }, "is a directory"},
		"owner": {func(p string) error {
			return errors.Join(os.WriteFile(p, nil, 0o600), os.Chown(p, nobody, nobody))
		}, "belongs to uid " + strconv.Itoa(nobody)},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "owner" {
				needRoot(t)
			}
			path := filepath.Join(t.TempDir(), "s")
			if err := tc.make(path + ".lock"); err != nil {
				t.Fatal(err)
			}
			if _, err := acquire(path); err == nil || !strings.Contains(err.Error(), path+".lock") || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v", err)
			}
			if _, err := os.Stat(path + ".lockx"); err == nil {
				t.Error("the link was followed")
			}
		})
	}
}

// TestLockHolder: the pid of a process that has ended is not told.
func TestLockHolder(t *testing.T) {
	ended := exec.Command("/proc/self/exe", "-test.run=^$")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	for pid, want := range map[int]int{ended.Process.Pid: 0, os.Getpid(): os.Getpid()} {
		if err := os.WriteFile(path+".lock", []byte(strconv.Itoa(pid)), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path + ".lock")
		if err == nil {
			defer f.Close()
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		}
		if err != nil {
			t.Fatal(err)
		}
		var inUse *InUseError
		if _, err := acquire(path); !errors.As(err, &inUse) || inUse.PID != want {
			t.Errorf("pid %d in the file: error %v", pid, err)
		}
		f.Close()
	}
}
