// Package packet handles IP packets that are longer than a peer accepts. It
// decides what happens to such a packet (Check), fragments IPv4 packets
// (Fragment), writes the ICMP error that tells a sender to send smaller packets
// (TooBig), and computes Internet checksums (Checksum, PseudoHeader).
//
//	             Limit(entry, Version(p))
//	                     |
//	p ------------> Check(p, limit)
//	                     |
//	     +-----------+---+-------+-----------+
//	   Fits         Cut        Refuse       Drop
//	     |           |           |           |
//	  send p     Fragment     TooBig       count
//	            send pieces   answer
//	                          the sender
//
// It is not a network stack: it has no addresses, no routes and no state
// between packets. It does not reassemble fragments or segment TCP. The TCP or
// UDP checksum inside a packet must be complete before Fragment, which neither
// verifies nor changes it.
//
// # Trust
//
// No field of a packet is used before it has been checked against the length of
// the packet. Whatever bytes a sender chooses, no function of this package
// panics, loops forever, or accesses memory outside the packet; inconsistent
// packets get the verdict Drop. The bytes must not change during a call, so
// copy a packet out of shared memory first.
//
// # Concurrency
//
// The package has no state. Any function may be called from any goroutine, as
// long as nothing else writes to the same bytes. A Pieces belongs to one
// goroutine. Nothing allocates.
//
// # Use
//
// With a packet p that may be modified, an entry of a PMTU table, and a buffer
// of at least MaxTooBig bytes:
//
//	limit := packet.Limit(entry, packet.Version(p))
//	switch packet.Check(p, limit) {
//	case packet.Fits:
//		send(p)
//	case packet.Cut:
//		pieces, _ := packet.Fragment(p, limit)
//		for piece := pieces.Next(); piece != nil; piece = pieces.Next() {
//			send(piece)
//		}
//	case packet.Refuse:
//		if n, ok := packet.TooBig(buffer, p, limit); ok {
//			deliver(buffer[:n])
//		}
//	}
package packet
