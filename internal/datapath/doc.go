// Package datapath carries packets between devices and a pair of channels. One
// direction of a device is one forwarder, and one goroutine runs it:
//
//	kernel ─▶ device ─▶ Outbound ─▶ Sender ─▶ out-channel ─▶ peer
//	kernel ◀─ device ◀─ Port ◀─ Inbound  ◀─── in-channel  ◀─ peer
//
// Outbound drains its device until it is empty or a burst is full. Marks tells
// it which mark the packets of each queue have, PMTU how long packets of a mark
// may be. The Sender writes them into the channel, cut into segments where the
// kernel handed over more than one packet at a time, and rings the doorbell when
// the burst is over or long. All devices of an interface, parent and children,
// share one Sender.
//
// Inbound copies elements out of the channel, confirms each copy, and only then
// looks at it. What a burst has brought goes to the Port of each packet's mark,
// the parent's or a child's, and what belongs together goes as one packet. When
// the channel is empty it sleeps on the doorbell. All own their buffers and
// allocate nothing per packet.
//
// The packages around it decide when: the driver starts, pauses and closes the
// forwarders as the interface goes up and down. Every exported method of
// Outbound, Inbound, Sender and Port may be called from any goroutine; Run is
// called once. A Marks and a PMTU belong to one Outbound.
//
// Nobody waits for a packet with a lock held, but a packet is handed over under
// one. Where several locks are held they are taken in this order: Outbound,
// Marks, Sender or Port; Inbound, Port.
//
// The in-channel's peer is not trusted: it can have packets counted as errors
// and, with a region that shrinks under the mapping (SIGBUS), have its own
// forwarder stopped through OnFault. Neither is the table of path MTUs: it can
// have packets cut or refused. Neither can reach another interface.
package datapath
