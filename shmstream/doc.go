// Package shmstream implements SHMStream version 2: a one-way stream of
// fixed-size elements through a region of shared memory, with one writer and
// any number of readers.
//
// A [Writer] fills the region and a [Reader] follows it. The writer never waits
// for a reader: a reader that is too slow loses elements, notices ([Overrun])
// and carries on. Both work on a byte slice that the caller has mapped. The
// package makes no system calls, starts no goroutines and allocates nothing per
// element.
//
// It does not wake a sleeping reader (a futex on the low half of WC can), does
// not open or map memory, and does not interpret elements (package element
// does).
//
// # Start
//
//	w, err := shmstream.NewWriter(region)
//	err = w.Start(shmstream.WriterConfig{Protocol: 0x12, Size: 1516})
//	w.Write(payload)
//
//	r, err := shmstream.NewReader(region, shmstream.Expect{Protocol: 0x12})
//	for {
//		n, result := r.Read(buf)
//		switch result {
//		case shmstream.Success: // buf[:n] is one element
//		case shmstream.EpochChanged, shmstream.Overrun: // try again at once
//		case shmstream.NoData, shmstream.Inactive, shmstream.Incompatible: // wait
//		}
//	}
//
// # Concurrency
//
// Each Writer and each Reader belongs to one goroutine. One Writer and any
// number of Readers may work on the same region at the same time, in one
// process or in several. docs/ordering.md explains why that is sound on each
// processor; P1 to P6 in the code are the pairs of accesses defined there.
//
// # Trust
//
// The other side is hostile: it may change any byte of the region at any
// moment. A Reader never writes to the region, so a read-only mapping is
// enough. It loads each shared word once, and checks and uses only that copy.
// Whatever the region holds, no method panics, loops, or touches memory outside
// it. The worst a hostile writer can do is to have its own elements refused
// ([Incompatible]), skipped ([Overrun]) or filled with garbage. A Writer keeps
// all its state in private memory and trusts nothing in the region. A reader
// that writes to the region harms only the other readers of that channel.
//
// Memory that disappears under the mapping, such as a truncated file, faults.
// The caller must be prepared for that.
//
// # Stability
//
// The layout of a region is SHMStream version 2 and does not change. Before
// version 1 of the module, a minor version may change the Go API; CHANGELOG.md
// says so. The package imports only the standard library and builds for amd64
// and arm64.
package shmstream
