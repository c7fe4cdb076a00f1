// Package element encodes packets into the elements of a channel and decodes
// them. An element is one fixed-size slot of shared memory. Its content depends
// on the Format: plain bytes (Raw), an IP packet after an eight-byte header
// (NetHdr), or an Ethernet frame with its length at the end of the element
// (EthDev).
//
// The package is not the channel: which slot is written or read, and how the
// counters advance, is up to package shmstream. It does not parse network
// protocols either. Of a packet it inspects only what the format needs: the
// version, the length and the traffic class of an IP header.
//
// # Trust
//
// A slot belongs to another, possibly hostile party, which may change any byte
// of it at any moment. Encode only writes to a slot. Decode reads each byte
// once, into memory of the caller, and validates only that copy. Whatever a
// peer puts into an element, the worst outcome is a Fault for this one packet:
// nothing panics, nothing outside the element is read, and no length is used
// before it has been checked against the size of the element. A peer can still
// deliver arbitrary bytes as a packet; validating those is up to the network
// stack.
//
// # Concurrency
//
// The package has no state. Any function may be called from any goroutine, as
// long as no two calls write to the same slot or the same destination.
//
// # Use
//
// Sending, with a shmstream.Writer w, without allocations:
//
//	w.Reserve(1)
//	used, fault := element.NetHdr.Encode(w.Slot(0), packet, mark)
//	w.Fill(0, used)
//	w.Publish()
//
// To build a packet in the slot itself, such as a segment of a larger packet,
// write it to Body and complete the element with Seal.
//
// Check a packet with Check before Reserve: it returns the same fault as Encode
// and writes nothing.
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
// Before Confirm succeeds, the bytes may be half of one packet and half of the
// next. Decode copes with that, and the caller discards the result.
//
// # Stability
//
// The formats are those of the kernel module and of Solo5 and do not change.
// Before version 1 of the module, a minor version may change the Go API;
// CHANGELOG.md says so. The package imports only the standard library.
package element
