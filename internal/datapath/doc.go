// Package datapath carries packets between devices and a pair of channels. One
// direction of a device is one forwarder, and one goroutine runs it:
//
//	kernel ─▶ device ─▶ Outbound ─▶ Sender ─▶ out-channel ─▶ peer
//	kernel ◀─ device ◀─ Port ◀─ Inbound  ◀─── in-channel  ◀─ peer
//
// Outbound reads its device until it is empty or a burst is full. Marks tells
// the mark of the packets in each queue, PMTU how long packets of a mark may
// be. The Sender writes them into the channel, cut into segments if the kernel
// handed over a super-packet, and rings the doorbell when the burst ends or has
// become long. All devices of an interface, parent and children, share one
// Sender. An interface without an out-channel has a Discard.
//
// The Sender waits for readers that lag. What it can know of them, and what
// follows from that, is in readers.
//
// Inbound copies elements out of the channel, confirms each copy, and only then
// looks at it. It hands a packet to the Port of its mark, the parent's or a
// child's, and merges segments of one flow on the way. When the channel is
// empty it sleeps on the doorbell.
//
// All of them own their buffers and allocate nothing per packet.
//
// The driver decides when: it starts, pauses and closes the forwarders as the
// interface goes up and down. Every exported method of Outbound, Inbound,
// Sender, Discard and Port may be called from any goroutine; Run is called
// once. A Marks and a PMTU belong to one Outbound.
//
// No goroutine waits for a packet with a lock held, but packets are handed over
// under one. Locks are taken in this order: Outbound, Marks, Sender or Port;
// and Inbound, Port.
//
// The peer of the in-channel is not trusted. It can cause packets to be counted
// as errors, and it can shrink the region under the mapping (SIGBUS), which
// stops its own forwarder through OnFault. The table of path MTUs is not
// trusted either: it can cause packets to be fragmented or refused. Neither can
// reach another interface.
package datapath
