// Package shmstream is the channel: SHMStream version 2, a one-way stream of
// fixed-size elements through a region of memory that one writer and any
// number of readers share.
//
// A [Writer] fills the region, a [Reader] follows it. The writer never waits
// for a reader: one that is too slow loses elements, notices it ([Overrun])
// and goes on. Both work on a byte slice that the caller has mapped; the
// package makes no system call, starts no goroutine, and allocates nothing
// per element.
//
// It is not a way to wake a sleeping reader (a futex on the low half of WC is
// one), it does not open or map memory, and it does not know what an element
// means (package element does).
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
//		case shmstream.EpochChanged, shmstream.Overrun: // look again at once
//		case shmstream.NoData, shmstream.Inactive, shmstream.Incompatible: // wait
//		}
//	}
//
// # Concurrency
//
// A Writer and a Reader belong to one goroutine each; all their methods are
// for that goroutine only. Any number of Readers and one Writer may work on
// the same region at the same time, in this process or others. Why that is
// sound on each processor is written down once, in docs/ordering.md; the
// pairs P1 to P6 named in the code are those of that page.
//
// # Trust
//
// The other side is hostile: it may change any byte of the region at any
// moment. A Reader never writes to the region (a read-only mapping is enough),
// loads each shared word once into a local, checks the local and uses only
// that. Whatever the region holds, no method panics, loops, or touches memory
// outside of it. The worst a hostile writer can do is to have its own elements
// refused ([Incompatible]), skipped ([Overrun]) or filled with rubbish. A
// Writer keeps all its state in private memory and never believes what it finds in
// the region; a reader that scribbles over it harms the other readers of that
// channel only. Memory that goes away under the mapping (a file cut short)
// faults; the caller has to be prepared for that.
//
// # Stability
//
// The layout of a region is SHMStream version 2 and does not change. Until version
// 1 of the module a minor version may change the Go API, and CHANGELOG.md says so.
// The package imports the standard library only, and builds for amd64 and arm64.
package shmstream
