// Package offload lets a TUN or TAP device with IFF_VNET_HDR move several packets in one call. Towards the channel, Segments cuts a
// super-packet of up to 64 KiB into the complete packets a peer expects. Towards the kernel, Batch merges consecutive packets of one
// flow into a super-packet. Cutting what was merged gives the same packets again, byte for byte.
//
//	read(device) -> Header | super-packet -> Segments -> packet, packet, packet -> channel
//	write(device) <- Header | super-packet <- Batch <- packet, packet, packet <- channel
//
// It knows TCP over IPv4 and IPv6, and UDP where the device takes it (USO). It does not open devices, negotiate what they can do, or
// choose sizes: the kernel says in each Header where to cut. It is no TCP: it keeps nothing once a Batch is reset, reorders nothing,
// and what it does not know passes as it is.
//
// # What is merged
//
// Packets with the same Ethernet header, addresses, ports, TOS or traffic class, TTL or hop limit, DF, flow label, acknowledgement,
// window, TCP flags and options, with an IPv4 id and a TCP sequence number that continue, with payloads of one length but for a
// shorter last one, and with good checksums. PSH and FIN end a super-packet. Fragments, IPv4 options, IPv6 extension headers, VLAN
// tags, tunnels, padded frames, SYN, RST, URG, CWR and packets without payload stay alone. This is what Linux does for packets of a
// network card (net/ipv4/tcp_offload.c), except that there an IPv4 id may stay the same; the header has no way to say so.
//
// # Trust
//
// Neither the Header nor a byte of a packet is believed before it was compared with the packet's length. Whatever they are, nothing
// here panics, loops without end, or reads or writes outside the packets and the destination. The worst a peer can have with packets
// of its choice is that they stay alone; the worst a local sender of super-packets can have is a Fault, or as many packets as its
// super-packet has bytes. Packets must not change while they are looked at: what is in shared memory is copied out first. The
// destination of Segments.Next may be shared, since it is only written.
//
// # Concurrency
//
// A Segments and a Batch belong to one goroutine each. There is no other state. Nothing allocates.
//
// # Use
//
// See the examples of Segments and Batch, and the order of calls at Batch.
package offload
