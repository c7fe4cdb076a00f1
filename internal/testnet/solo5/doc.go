// Package solo5 is a simulated unikernel at the other end of two Ethernet
// channels, for tests only. It does with its channels what the bindings of
// Solo5 for Muen do (bindings/muen in github.com/Solo5/solo5: reader.c,
// writer.c, muen-net.c), faults included, and is written from what they do, not
// from their text:
//
//   - Its reader never recovers from an overrun: it says so for ever, until the
//     epoch is another one.
//   - When the epoch has changed it synchronises, and the call in which it
//     finds out returns nothing. It starts at the first element, however old:
//     in an epoch longer than the ring it is stuck from the beginning.
//   - It believes Size, Elements and the length in an element. What would have
//     written or read beyond its memory there is noted as a violation here, and
//     not done.
//   - It is never woken; it looks.
//   - Its writer begins an epoch when the device is opened, and reads the
//     counters and sizes back from the channel.
//
// Behind that device is a host with one IPv4 address that answers ARP, ICMP
// echo and every UDP datagram.
//
// A Peer may be used by several goroutines. Its channels must be mapped memory
// (or have no other user at that time): they are read without regard to
// Go's memory model, as a processor of the amd64 family would.
package solo5
