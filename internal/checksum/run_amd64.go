//go:build !race

package checksum

import "golang.org/x/sys/cpu"

// vector reports whether sumRun and copyRun can be used. Only tests change it.
var vector = cpu.X86.HasAVX2

// leastRun is the number of bytes from which the vectors are worth their setup.
const leastRun = 96

// sumRun adds the n bytes at src, as 32-bit numbers in little-endian order. n
// is a multiple of 32, and not 0.
//
//go:noescape
func sumRun(src *byte, n int) uint64

// copyRun is sumRun that also copies the bytes to dst. Whether the pointers are
// aligned does not matter.
//
//go:noescape
func copyRun(dst, src *byte, n int) uint64
