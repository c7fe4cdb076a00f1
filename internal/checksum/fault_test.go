package checksum

import (
	"runtime"
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"
)

// Memory that is gone, as when a file was truncated, must end in a panic that
// the caller can recover, not in the end of the program.
func TestFaultPanics(t *testing.T) {
	page := unix.Getpagesize()
	memory, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(memory)
	if err := unix.Mprotect(memory[page:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	own := make([]byte, 1500)
	gone := memory[page-700 : page+800]
	for name, f := range map[string]func(){
		"sum":     func() { Sum(gone, 0) },
		"copy":    func() { Copy(own, gone, 0) },
		"copy to": func() { Copy(gone, own, 0) },
	} {
		func() {
			defer func() {
				if _, ok := recover().(runtime.Error); !ok {
					t.Errorf("%s: no error of the runtime", name)
				}
			}()
			f()
		}()
	}
}
