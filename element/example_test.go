package element_test

import (
	"fmt"

	"github.com/muennet/muennet/element"
)

// An IP packet with a mark passes through an element of the net_hdr format.
// Here the slot is memory of the process; normally it is a slot of a shmstream
// channel.
func Example() {
	packet := []byte{
		0x45, 0, 0, 22, 0, 0, 0, 0, 64, 253, 0, 0, // IPv4, 22 bytes, protocol 253
		10, 0, 0, 1, 10, 0, 0, 2,
		'h', 'i',
	}
	slot := make([]byte, element.NetHdr.Size(1500))

	used, fault := element.NetHdr.Encode(slot, packet, 7)
	fmt.Println(used, fault)

	received, fault := element.NetHdr.Decode(make([]byte, len(slot)), slot)
	fmt.Printf("%s, %d bytes, mark %d: %q\n", fault, len(received.Data), received.Mark, received.Data[20:])

	fmt.Println(element.NetHdr.Check(len(slot), []byte("this is not an IP packet at all")))
	// Output:
	// 30 ok
	// ok, 22 bytes, mark 7: "hi"
	// not_ip
}
