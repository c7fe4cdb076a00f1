package shmstream_test

import (
	"fmt"
	"unsafe"

	"github.com/muennet/muennet/shmstream"
)

// A writer and a reader share one region. Here it is memory of the process;
// normally each side maps the same file.
func Example() {
	const protocol, size = 0x12, 16
	region := aligned(shmstream.HeaderSize + 4*size) // room for four elements

	w, err := shmstream.NewWriter(region)
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := shmstream.NewReader(region, shmstream.Expect{Protocol: protocol})
	if err != nil {
		fmt.Println(err)
		return
	}
	buf := make([]byte, size)
	look := func() {
		switch n, result := r.Read(buf); result {
		case shmstream.Success:
			fmt.Printf("%s %q\n", result, buf[:n])
		default:
			fmt.Println(result)
		}
	}

	look()
	if err := w.Start(shmstream.WriterConfig{Protocol: protocol, Size: size}); err != nil {
		fmt.Println(err)
		return
	}
	look()
	w.Write([]byte("an element"))
	look()
	look()
	w.Stop()
	look()
	// Output:
	// Inactive
	// EpochChanged
	// Success "an element\x00\x00\x00\x00\x00\x00"
	// NoData
	// Inactive
}

// aligned returns n bytes at an address that is a multiple of 8, like a
// mapping.
func aligned(n int) []byte {
	words := make([]uint64, (n+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), n)
}
