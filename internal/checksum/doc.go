// Package checksum computes the sum of the Internet checksum (RFC 1071), also
// while copying: Copy reads each byte once, where copy and Sum read it twice.
//
// It is the sum only: packages packet and offload know which bytes of a packet
// a checksum covers.
//
// # Implementations
//
// Long runs are summed 32 bytes and more at a time, with AVX2 where the
// processor and the operating system have it, and with NEON, which every arm64
// processor has. The rest is Go, and on other processors everything. So it is
// in a program built with -race, because the detector does not see what
// assembly accesses. GODEBUG=cpu.avx2=off turns AVX2 off, for comparison.
//
// # Trust
//
// The bytes may be anything, but they must not change during a call: copy them
// out of shared memory first. The destination of Copy may be shared, because it
// is only written, and with ordinary stores, as the runtime's copy writes: the
// fences of package shmstream order them (docs/ordering.md).
//
// Memory that faults makes Sum and Copy panic under debug.SetPanicOnFault, as
// copy does.
//
// # Concurrency
//
// There is no state. Nothing allocates.
package checksum
