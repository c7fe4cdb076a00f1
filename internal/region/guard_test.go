package region

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The file shrinks under the mapping: a real SIGBUS, for each kind of access to
// a channel.
func TestGuardShrunkFile(t *testing.T) {
	buf := make([]byte, 64)
	for name, touch := range map[string]func(b []byte){
		"copy out":     func(b []byte) { copy(buf, b[8192:]) },
		"copy in":      func(b []byte) { copy(b[8192:], buf) },
		"clear":        func(b []byte) { clear(b[8192:]) },
		"one byte":     func(b []byte) { buf[0] = b[8192] },
		"atomic load":  func(b []byte) { atomic.LoadUint64((*uint64)(unsafe.Pointer(&b[8192]))) },
		"atomic store": func(b []byte) { atomic.StoreUint64((*uint64)(unsafe.Pointer(&b[8192])), 1) },
		"atomic add":   func(b []byte) { atomic.AddUint64((*uint64)(unsafe.Pointer(&b[8192])), 1) },
		"compare":      func(b []byte) { bytes.Equal(b[8192:8256], buf) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, path := file(t, 16<<10)
			r := open(t, path, ReadWrite)
			if err := Guard(func() { touch(r.Bytes()) }); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, 4096); err != nil {
				t.Fatal(err)
			}
			err := Guard(func() { touch(r.Bytes()) })
			if !errors.Is(err, ErrFault) {
				t.Errorf("%v is not ErrFault", err)
			}
			wantError(t, err, dir, "%DIR/c: the file shrank: it has 4096 bytes, 16384 are in use")
			if err := Guard(func() { copy(buf, r.Bytes()) }); err != nil {
				t.Errorf("the remaining pages: %v", err)
			}
			err = r.Intact()
			if !errors.Is(err, ErrFault) {
				t.Errorf("%v is not ErrFault", err)
			}
			wantError(t, err, dir, "check channel %DIR/c: the file shrank: it has 4096 bytes, 16384 are in use")
			if err := os.Truncate(path, 16<<10); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(r.Intact(), Guard(func() { touch(r.Bytes()) })); err != nil {
				t.Errorf("after the file grew back: %v", err)
			}
		})
	}
}

// A window is intact while its own bytes exist, whatever follows them.
func TestIntactWindow(t *testing.T) {
	_, path := file(t, 4096)
	r := open(t, path+"@1024+1024", ReadOnly)
	for size, want := range map[int64]bool{2049: true, 2048: true, 2047: false} {
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		if err := r.Intact(); (err == nil) != want {
			t.Errorf("file of %d bytes: %v", size, err)
		}
	}
}

// Without Guard the same access ends the process. This shows that the file in
// the test above really shrinks.
func TestUnguardedDies(t *testing.T) {
	_, path := file(t, 4096)
	out, err := helper("unguarded", path).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "SIGBUS") {
		t.Errorf("%v, output %s", err, out)
	}
}

// recovered runs f and returns its panic value.
func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func TestGuardPassesOtherPanics(t *testing.T) {
	var none *int
	var empty []int
	// mmap allocates downwards: the open region lies below this page.
	above, err := unix.Mmap(-1, 0, 4096, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(above)
	_, path := file(t, 4096)
	open(t, path, ReadOnly)
	r := open(t, path, ReadOnly)
	gone := r.Bytes()
	r.Close()
	for name, f := range map[string]func(){
		"value":       func() { panic("mine") },
		"nil pointer": func() { *none = 1 },
		"index":       func() { empty[0]++ },
		"closed":      func() { _ = bytes.Clone(gone) },
		"below":       func() { fault(1 << 20) },
		"above":       func() { _ = bytes.Clone(above) },
	} {
		var err error
		v := recovered(func() { err = Guard(f) })
		if v == nil || err != nil {
			t.Errorf("%s: panic %v, error %v", name, v, err)
		}
		if _, isRuntime := v.(runtime.Error); isRuntime == (name == "value") {
			t.Errorf("%s: the panic value became %#v", name, v)
		}
	}
}

// fault reads from an address where nothing is mapped.
//
//go:nocheckptr
func fault(address uintptr) byte { return **(**byte)(unsafe.Pointer(&address)) }

func TestGuardRestoresSetting(t *testing.T) {
	for _, before := range []bool{true, false} {
		first := debug.SetPanicOnFault(before)
		if err := Guard(func() {}); err != nil {
			t.Error(err)
		}
		if got := debug.SetPanicOnFault(first); got != before {
			t.Errorf("setting %v became %v", before, got)
		}
		recovered(func() { Guard(func() { panic(1) }) })
		if got := debug.SetPanicOnFault(first); got != first {
			t.Errorf("after a panic: setting %v became %v", first, got)
		}
	}
}

func TestGuardDoesNotAllocate(t *testing.T) {
	_, path := file(t, 4096)
	b := open(t, path, ReadWrite).Bytes()
	f := func() { b[0]++ }
	if n := testing.AllocsPerRun(100, func() { Guard(f) }); n != 0 {
		t.Errorf("%v allocations per call", n)
	}
}

func BenchmarkGuard(b *testing.B) {
	n := 0
	f := func() { n++ }
	for b.Loop() {
		Guard(f)
	}
}

// A Guard within a Guard: the inner one handles its own faults, and both leave
// the rest alone.
func TestGuardNested(t *testing.T) {
	_, path := file(t, 8192)
	r := open(t, path, ReadOnly)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	var inner error
	reached := false
	outer := Guard(func() {
		inner = Guard(func() { _ = bytes.Clone(r.Bytes()) })
		reached = true
	})
	if !errors.Is(inner, ErrShrank) || outer != nil || !reached {
		t.Errorf("inner %v, outer %v, reached %t", inner, outer, reached)
	}
	// The inner Guard handles a fault during another panic.
	v := recovered(func() {
		outer = Guard(func() {
			defer func() { inner = Guard(func() { _ = bytes.Clone(r.Bytes()) }) }()
			panic("mine")
		})
	})
	if v != "mine" || !errors.Is(inner, ErrShrank) {
		t.Errorf("panic %v, inner %v", v, inner)
	}
	outer = Guard(func() {
		defer func() {
			if debug.SetPanicOnFault(true) != true {
				t.Error("the inner Guard disabled the outer one")
			}
		}()
		Guard(func() {})
	})
	if outer != nil {
		t.Error(outer)
	}
}
