// Package element writes packets into the elements of a channel and reads them back. An element is one fixed-size slot of
// shared memory; what is inside depends on the Format: Raw bytes, an IP packet behind an eight-byte header (NetHdr), or an
// Ethernet frame with its length at the end (EthDev).
//
// It is not the channel: which slot is written or read, and in which order the counters move, is package shmstream's affair.
// It is not a parser of networks either: of a packet it looks at exactly what the format needs, which is the version, the
// length and the traffic class of an IP header.
//
// # Trust
//
// A slot belongs to another, possibly hostile party, who may change any byte of it at any moment. Encode therefore only writes
// to a slot, and Decode takes each byte of it once, into the memory of the caller, and decides on that copy alone. Whatever a
// peer puts into an element, the worst it gets is a Fault for this one packet: nothing panics, nothing outside the element is
// read, and no length it wrote is believed before it was compared with the element's size. What a peer can do is deliver any
// bytes it likes as a packet; they are for the network stack to judge.
//
// # Concurrency
//
// Nothing in this package has state. Any function may be called from any goroutine, as long as no two calls write to the same
// slot or the same destination.
//
// # Use
//
// Sending, with a shmstream.Writer w and 0 allocations:
//
//	w.Reserve(1)
//	used, fault := element.NetHdr.Encode(w.Slot(0), packet, mark)
//	w.Fill(0, used)
//	w.Publish()
//
// A packet that is made in the slot itself, such as a segment of a larger one, is written to Body and finished with Seal.
//
// A packet that cannot be sent is better found before Reserve: Check says the same as Encode and touches nothing.
//
// Receiving, with a shmstream.Reader r and a buffer of r.Size() bytes:
//
//	slot, result := r.Next()
//	if result == shmstream.Success {
//		packet, fault := element.NetHdr.Decode(buffer, slot)
//		if r.Confirm() == shmstream.Success && fault == element.OK {
//			deliver(packet.Data, packet.Mark)
//		}
//	}
//
// Until Confirm agrees the bytes may be half of one packet and half of the next; Decode copes with that, and the result is
// then thrown away.
//
// # Stability
//
// The formats are those of the kernel module and of Solo5, and do not change. Until version 1 of the module a minor version may
// change the Go API, and CHANGELOG.md says so. The package imports the standard library only.
package element
