// Package packet looks at IP packets that are longer than a peer wants them. It decides what becomes of such a packet (Check),
// cuts IPv4 packets into fragments (Fragment), writes the ICMP error that tells a sender to send less at once (TooBig), and adds
// up Internet checksums (Sum, Checksum, PseudoHeader).
//
//	             Limit(entry, Version(p))
//	                     |
//	p ------------> Check(p, limit)
//	                     |
//	     +-----------+---+-------+-----------+
//	   Fits         Cut        Refuse       Drop
//	     |           |           |           |
//	  send p     Fragment     TooBig      count it
//	            send pieces   answer
//	                          the sender
//
// It is not a network stack: it knows no addresses of its own, no routes, and keeps nothing between two packets. It puts no
// fragments together and cuts no TCP segments. The checksum of TCP or UDP inside a packet must be complete before Fragment; it is
// neither looked at nor changed.
//
// # Trust
//
// Nothing in a packet is believed before it was compared with its length. Whatever bytes a sender chooses, no function of this
// package panics, loops without end, or reads or writes outside the packet; what a sender gets for a packet that contradicts
// itself is Drop. The bytes must not change during a call: a packet in shared memory is copied out first.
//
// # Concurrency
//
// The package has no state. Any function may be called from any goroutine, as long as nobody else writes to the same bytes.
// A Pieces belongs to one goroutine. Nothing allocates.
//
// # Use
//
// With a packet p that may be changed, an entry of a PMTU table, and a buffer of at least MaxTooBig bytes:
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
