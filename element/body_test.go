package element

import (
	"bytes"
	"testing"
)

// sealed builds an element like a caller that writes the packet into the slot
// itself.
func sealed(f Format, slot, packet []byte, mark uint32) (used int) {
	n := copy(f.Body(slot), packet)
	return f.Seal(slot, packet[:min(2, n)], n, mark)
}

// Body and Seal build the same element as Encode, for every packet size and
// whatever the slot held before.
func TestSealEqualsEncode(t *testing.T) {
	for _, f := range formats {
		size := f.Size(1500)
		for n := range size + 1 {
			packet, mark := packetFor(f, n), uint32(n)*0x01020305
			if f.Check(size, packet) != OK {
				continue
			}
			want, got := bytes.Repeat([]byte{0xee}, size), bytes.Repeat([]byte{0xee}, size)
			wantUsed, fault := f.Encode(want, packet, mark)
			if used := sealed(f, got, packet, mark); fault != OK || used != wantUsed || !bytes.Equal(got, want) {
				t.Fatalf("%v, packet of %d bytes: %d used, want %d (%v)\n got %x\nwant %x", f, n, used, wantUsed, fault, got, want)
			}
		}
	}
}

// Body is all of a slot that a packet may use: the longest packet fits exactly,
// and it begins at Offset.
func TestBody(t *testing.T) {
	for _, f := range formats {
		for size := f.MinSize(); size <= 1600; size++ {
			slot := make([]byte, size)
			body := f.Body(slot)
			if len(body) != f.MaxPacket(size) {
				t.Fatalf("%v: size %d: body of %d bytes, longest packet of %d", f, size, len(body), f.MaxPacket(size))
			}
			body[0] = 1
			if at := bytes.IndexByte(slot, 1); at != f.Offset() {
				t.Fatalf("%v: the body begins at %d, Offset says %d", f, at, f.Offset())
			}
		}
	}
}

// The packet that Decode returns lies at Offset in dst: a caller may use the
// memory before it.
func TestDecodeLeavesPacketAtOffset(t *testing.T) {
	for _, f := range formats {
		size := f.Size(1500)
		slot, dst := make([]byte, size), make([]byte, size)
		sealed(f, slot, packetFor(f, 100), 7)
		p, fault := f.Decode(dst, slot)
		if fault != OK || &p.Data[0] != &dst[f.Offset()] {
			t.Errorf("%v: %v, packet not at offset %d", f, fault, f.Offset())
		}
	}
}

// Protocol and class come only from head, which is the caller's: the peer may
// have changed the slot.
func TestSealDoesNotReadSlot(t *testing.T) {
	packet := ipPacket(6, 60)
	packet[0], packet[1] = 0x6b, 0x80 // traffic class 0xb8
	slot := make([]byte, NetHdr.Size(100))
	copy(NetHdr.Body(slot), ipPacket(4, 60)) // as if the peer wrote
	NetHdr.Seal(slot, packet[:2], 60, 0xfffffffe)
	if want := []byte{0xfe, 0xff, 0xff, 0xff, 60, 0, 41, 0xb8 >> 2}; !bytes.Equal(slot[:8], want) {
		t.Errorf("header %x, want %x", slot[:8], want)
	}
}

func TestSealDoesNotAllocate(t *testing.T) {
	for _, f := range formats {
		slot, packet := make([]byte, f.Size(1500)), packetFor(f, 1000)
		if n := testing.AllocsPerRun(100, func() { sealed(f, slot, packet, 7) }); n != 0 {
			t.Errorf("%v: %v allocations per packet", f, n)
		}
	}
}
