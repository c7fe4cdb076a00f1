package element

import (
	"bytes"
	"testing"
)

// FuzzDecode decodes arbitrary elements: no panic, the packet is within dst,
// and the result follows from dst alone.
func FuzzDecode(f *testing.F) {
	for _, format := range formats {
		f.Add(uint8(format), make([]byte, format.MinSize()))
		slot := make([]byte, format.Size(1500))
		format.Encode(slot, packetFor(format, 60), 7)
		f.Add(uint8(format), slot)
		f.Add(uint8(format), slot[:30])
	}
	f.Add(uint8(NetHdr), ipElement(100, 7, 40, 41, 0, ipPacket(6, 40)))
	f.Add(uint8(EthDev), ethElement(64, 65535))
	f.Fuzz(func(t *testing.T, which uint8, slot []byte) {
		format := formats[int(which)%len(formats)]
		original := bytes.Clone(slot)
		dst := bytes.Repeat([]byte{0xa5}, len(slot)+8)
		packet, fault := format.Decode(dst, slot)
		if !bytes.Equal(slot, original) {
			t.Fatal("Decode wrote to the slot")
		}
		if !bytes.Equal(dst[len(slot):], bytes.Repeat([]byte{0xa5}, 8)) {
			t.Fatal("Decode wrote beyond the element")
		}
		if fault == OK && (len(packet.Data) == 0 || !bytes.Contains(slot, packet.Data)) {
			t.Fatalf("delivered %x, which is not in the element", packet.Data)
		}
		if fault != OK && packet.Data != nil {
			t.Fatalf("%v, but delivered %x", fault, packet.Data)
		}
		sameFromCopy(t, format, dst[:len(slot)], packet, fault)

		d := Describe(format, slot)
		if d.Fault != fault || !bytes.Equal(d.Packet, packet.Data) || d.String() == "" {
			t.Fatalf("Describe says %+v, Decode %v with %x", d, fault, packet.Data)
		}
	})
}

// FuzzEncodeDecode sends arbitrary packets in elements of arbitrary size: the
// bytes are those of the naive twin (so the tail is zero), and decoding returns
// each packet that was accepted.
func FuzzEncodeDecode(f *testing.F) {
	for _, format := range formats {
		for _, n := range []int{0, 1, 13, 14, 19, 20, 39, 40, 64, 1500, 1514} {
			f.Add(uint8(format), uint16(1508), uint32(7), packetFor(format, n))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, size uint16, mark uint32, packet []byte) {
		format := formats[int(which)%len(formats)]
		if format == NetHdr && len(packet) > 5 {
			// The receiver uses the length in the IP header, which
			// the sender's kernel sets.
			n := len(packet)
			if packet[0]>>4 == 6 {
				n -= 40
			}
			withLength(packet, uint16(n))
		}
		roundTrip(t, format, int(size), packet, mark, make([]byte, size))
	})
}
