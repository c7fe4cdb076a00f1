package element

import (
	"bytes"
	"testing"
)

// packetFor returns a packet of n bytes that f accepts, if there is one.
func packetFor(f Format, n int) []byte {
	if f == NetHdr {
		return ipPacket(4+n%2*2, n)
	}
	return pattern(n)
}

// ipPacket returns n bytes that begin with an IP header for a packet of n
// bytes.
func ipPacket(version, n int) []byte {
	p := pattern(n)
	set := func(i, v int) {
		if i < n {
			p[i] = byte(v)
		}
	}
	set(0, version<<4|5)
	if version == 4 {
		set(2, n>>8)
		set(3, n)
	} else {
		set(4, (n-40)>>8)
		set(5, n-40)
	}
	return p
}

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(7*i + 1)
	}
	return p
}

// naive builds the element byte by byte in an element of zeros. It returns nil
// if the packet cannot be sent.
func naive(f Format, size int, packet []byte, mark uint32) []byte {
	n := len(packet)
	var elem []byte
	switch f {
	case Raw:
		if n < 1 || n > size {
			return nil
		}
		elem = append(elem, packet...)
	case NetHdr:
		var protocol, class byte
		switch {
		case n >= 20 && packet[0]>>4 == 4:
			protocol, class = 4, packet[1]
		case n >= 40 && packet[0]>>4 == 6:
			protocol, class = 41, packet[0]<<4|packet[1]>>4
		default:
			return nil
		}
		if n > size-8 {
			return nil
		}
		elem = append(elem, byte(mark), byte(mark>>8), byte(mark>>16), byte(mark>>24), byte(n), byte(n>>8), protocol, class/4)
		elem = append(elem, packet...)
	case EthDev:
		if n < 14 || n > size-2 {
			return nil
		}
		elem = append(elem, packet...)
		for len(elem) < size-2 {
			elem = append(elem, 0)
		}
		elem = append(elem, byte(n), byte(n>>8))
	}
	for len(elem) < size {
		elem = append(elem, 0)
	}
	return elem
}

// Packets of every size, in a full-sized element, against the naive twin and
// back.
func TestAllSizes(t *testing.T) {
	for _, f := range formats {
		t.Run(f.String(), func(t *testing.T) {
			size := f.Size(1500)
			dst := make([]byte, size)
			for n := range 1601 {
				packet := packetFor(f, n)
				mark := uint32(n) * 0x01020305
				roundTrip(t, f, size, packet, mark, dst)
			}
		})
	}
}

// Elements of every size, with the longest packet that fits, the next longer
// one, and a short one.
func TestAllElementSizes(t *testing.T) {
	for _, f := range formats {
		t.Run(f.String(), func(t *testing.T) {
			dst := make([]byte, 1600)
			for size := 1; size <= 1600; size++ {
				longest := f.MaxPacket(size)
				for _, n := range []int{longest, longest + 1, longest / 2} {
					roundTrip(t, f, size, packetFor(f, n), 7, dst)
				}
			}
		})
	}
}

// roundTrip compares Encode with naive, both bytes and faults, and checks that
// Decode returns the packet.
func roundTrip(t *testing.T, f Format, size int, packet []byte, mark uint32, dst []byte) {
	t.Helper()
	slot := make([]byte, size)
	used, fault := f.Encode(slot, packet, mark)
	if check := f.Check(size, packet); check != fault {
		t.Fatalf("%d bytes into %d: Check says %v, Encode %v", len(packet), size, check, fault)
	}
	want := naive(f, size, packet, mark)
	if want == nil {
		if fault == OK || used != 0 || !bytes.Equal(slot, make([]byte, size)) {
			t.Fatalf("%d bytes into %d: %d used, %v, want a fault and nothing written", len(packet), size, used, fault)
		}
		return
	}
	wantUsed := len(packet)
	if f == NetHdr {
		wantUsed += 8
	}
	if fault != OK || used != wantUsed || !bytes.Equal(slot, want) {
		t.Fatalf("%d bytes into %d: %d used, %v, want %d\n got %x\nwant %x", len(packet), size, used, fault, wantUsed, slot, want)
	}

	got, fault := f.Decode(dst, slot)
	if f == Raw {
		packet = want // no length field: the receiver gets all of it
	}
	if f != NetHdr {
		mark = 0
	}
	if fault != OK || !bytes.Equal(got.Data, packet) || got.Mark != mark {
		t.Fatalf("%d bytes from %d: %v, mark %#x\n got %x\nwant %x", len(packet), size, fault, got.Mark, got.Data, packet)
	}
}

func TestEncodeFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		f      Format
		size   int
		packet []byte
		want   Fault
	}{
		{"raw empty", Raw, 64, nil, Empty},
		{"raw too long", Raw, 64, pattern(65), Oversize},
		{"raw fits exactly", Raw, 64, pattern(64), OK},
		{"ip empty", NetHdr, 1508, nil, Empty},
		{"version 0", NetHdr, 1508, make([]byte, 60), NotIP},
		{"version 5", NetHdr, 1508, ipPacket(5, 60), NotIP},
		{"one byte", NetHdr, 1508, ipPacket(4, 1), TooShort},
		{"19 bytes of IPv4", NetHdr, 1508, ipPacket(4, 19), TooShort},
		{"39 bytes of IPv6", NetHdr, 1508, ipPacket(6, 39), TooShort},
		{"IPv4 fits exactly", NetHdr, 1508, ipPacket(4, 1500), OK},
		{"IPv4 too long", NetHdr, 1508, ipPacket(4, 1501), Oversize},
		{"beyond the length field", NetHdr, 1 << 20, ipPacket(4, 65536), Oversize},
		{"element without room for the header", NetHdr, 3, ipPacket(4, 20), Oversize},
		{"frame empty", EthDev, 1516, nil, Empty},
		{"frame of 13 bytes", EthDev, 1516, pattern(13), TooShort},
		{"tagged frame of 1518 bytes", EthDev, 1516, pattern(1518), Oversize},
		{"frame beyond the length field", EthDev, 1 << 20, pattern(65536), Oversize},
		{"element without room for the trailer", EthDev, 1, pattern(14), Oversize},
	} {
		t.Run(c.name, func(t *testing.T) {
			slot := bytes.Repeat([]byte{0xee}, c.size)
			used, got := c.f.Encode(slot, c.packet, 7)
			if got != c.want {
				t.Fatalf("fault is %v, want %v", got, c.want)
			}
			if got != OK && (used != 0 || !bytes.Equal(slot, bytes.Repeat([]byte{0xee}, c.size))) {
				t.Errorf("%d bytes used, the slot is %x", used, slot)
			}
		})
	}
}

// Encode touches only what it reports as used, and the trailer. The caller
// clears the rest.
func TestEncodeLeavesRestAlone(t *testing.T) {
	for _, f := range formats {
		slot := bytes.Repeat([]byte{0xee}, 200)
		used, fault := f.Encode(slot, packetFor(f, 60), 7)
		if fault != OK {
			t.Fatal(f, fault)
		}
		end := len(slot)
		if f == EthDev {
			end -= 2
		}
		if !bytes.Equal(slot[used:end], bytes.Repeat([]byte{0xee}, end-used)) {
			t.Errorf("%v: bytes after the first %d changed: %x", f, used, slot[used:])
		}
	}
}

// The length field is that of the packet passed in, even if the IP header says
// something else.
func TestLengthFieldIsPacketLength(t *testing.T) {
	packet := ipPacket(4, 100)
	packet[2], packet[3] = 0xff, 0xff
	slot := make([]byte, 1508)
	if _, fault := NetHdr.Encode(slot, packet, 0); fault != OK {
		t.Fatal(fault)
	}
	if got := int(slot[4]) | int(slot[5])<<8; got != 100 {
		t.Errorf("length field is %d, want 100", got)
	}
}

func TestAllocations(t *testing.T) {
	for _, f := range formats {
		size := f.Size(1500)
		slot, dst, packet := make([]byte, size), make([]byte, size), packetFor(f, 1000)
		allocations := testing.AllocsPerRun(100, func() {
			f.Encode(slot, packet, 7)
			f.Decode(dst, slot)
		})
		if allocations != 0 {
			t.Errorf("%v: %v allocations per packet", f, allocations)
		}
	}
}
