// Package offload lets a TUN or TAP device with IFF_VNET_HDR transfer several
// packets per system call. Towards the channel, Segments splits a super-packet
// of up to 64 KiB into the complete packets a peer expects. Towards the kernel,
// Batch merges consecutive packets of one flow into a super-packet. Splitting a
// merged super-packet gives the original packets again, byte for byte.
//
//	read(device) -> Header | super-packet -> Segments -> packet, packet, packet -> channel
//	write(device) <- Header | super-packet <- Batch <- packet, packet, packet <- channel
//
// It supports TCP over IPv4 and IPv6, and UDP if the device does (USO). It does
// not open devices, negotiate their features, or choose sizes: the kernel says
// in each Header where to split. It does not implement TCP: it keeps no state
// once a Batch is reset and reorders nothing. Packets it does not recognise
// pass unchanged.
//
// # What is merged
//
// Two packets are merged if they agree in Ethernet header, addresses, ports,
// TOS or traffic class, TTL or hop limit, DF, flow label, acknowledgement,
// window, TCP flags and options. IPv4 ID and TCP sequence number must continue,
// all payloads but a shorter last one must have the same length, and the
// checksums must be correct. PSH and FIN end a super-packet. Fragments, IPv4
// options, IPv6 extension headers, VLAN tags, tunnels, padded frames, SYN, RST,
// URG, CWR and packets without payload are not merged. Linux applies the same
// rules to packets of a network card (net/ipv4/tcp_offload.c), but also merges
// packets with equal IPv4 IDs, which Header cannot express.
//
// # Trust
//
// No field of the Header or of a packet is used before it has been checked
// against the length of the packet. Whatever they contain, nothing here panics,
// loops forever, or accesses memory outside the packets and the destination.
// The worst a peer can achieve with its packets is that they are not merged.
// The worst a local sender of super-packets can achieve is a Fault, or one
// packet for each byte of its super-packet. Packets must not change during a
// call, so copy them out of shared memory first. The destination of
// Segments.Next may be shared, because it is only written.
//
// # Concurrency
//
// A Segments and a Batch each belong to one goroutine. There is no other state.
// Nothing allocates.
//
// # Use
//
// See the examples of Segments and Batch, and the order of calls in the
// documentation of Batch.
package offload
