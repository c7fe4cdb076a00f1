// Package datapath carries packets between a device and its channels. One
// direction is one forwarder, and one goroutine runs it:
//
//	kernel ─▶ device ─▶ Outbound ─▶ Sender ─▶ out-channel ─▶ peer
//	kernel ◀─ device ◀─ Inbound  ◀────────── in-channel  ◀─ peer
//
// Outbound drains its device until it is empty or a burst is full, has each
// packet written by the Sender and the doorbell rung once. Inbound copies each
// element out of the channel, confirms the copy, and only then looks at it;
// when the channel is empty it sleeps on the doorbell. Both own their buffers
// and allocate nothing per packet.
//
// The packages around it decide when: the driver starts, pauses and closes the
// forwarders as the interface goes up and down. Every exported method may be
// called from any goroutine; Run is called once.
//
// The in-channel's peer is not trusted: it can have packets counted as errors
// and, with a region that shrinks under the mapping (SIGBUS), have its own
// forwarder stopped through OnFault. It cannot reach another interface.
package datapath
