package element

import (
	"encoding/binary"
	"testing"
)

var formats = []Format{Raw, NetHdr, EthDev}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		f                                Format
		name                             string
		size1500, packet1516, minSize    int
		lowestMTU, highestMTU, ofHighest int
	}{
		{Raw, "raw", 1500, 1516, 1, 1, 65535, 65535},
		{NetHdr, "net_hdr", 1508, 1508, 28, 68, 65535, 65543},
		{EthDev, "eth_dev", 1516, 1514, 16, 68, 65521, 65537},
	} {
		t.Run(c.name, func(t *testing.T) {
			lowest, highest := c.f.MTU()
			for _, check := range []struct {
				what      string
				got, want int
			}{
				{"Size(1500)", c.f.Size(1500), c.size1500},
				{"MaxPacket(1516)", c.f.MaxPacket(1516), c.packet1516},
				{"MinSize", c.f.MinSize(), c.minSize},
				{"lowest MTU", lowest, c.lowestMTU},
				{"highest MTU", highest, c.highestMTU},
				{"Size(highest)", c.f.Size(highest), c.ofHighest},
				{"MaxPacket(0)", c.f.MaxPacket(0), 0},
			} {
				if check.got != check.want {
					t.Errorf("%s = %d, want %d", check.what, check.got, check.want)
				}
			}
			if c.f.String() != c.name {
				t.Errorf("String = %q, want %q", c.f, c.name)
			}
			if c.f.Size(lowest) < c.f.MinSize() {
				t.Errorf("an MTU of %d makes elements of %d bytes, readers want %d", lowest, c.f.Size(lowest), c.f.MinSize())
			}
		})
	}
	if got := Format(9).String(); got != "format(9)" {
		t.Errorf("unknown format: %q", got)
	}
}

// The longest packet an interface may send must fit its elements and their
// length field, for every MTU.
func TestEveryMTUFitsItsElement(t *testing.T) {
	for _, f := range formats {
		lowest, highest := f.MTU()
		for mtu := lowest; mtu <= highest; mtu++ {
			packet := mtu
			if f == EthDev {
				packet += ethernetHeaderSize
			}
			if got := f.MaxPacket(f.Size(mtu)); got != packet || got > maxLength {
				t.Fatalf("%v: MTU %d: elements carry %d bytes, want %d", f, mtu, got, packet)
			}
		}
	}
}

func TestMaxPacketEndsWhereLengthFieldDoes(t *testing.T) {
	const size = 1 << 20
	for f, want := range map[Format]int{Raw: size, NetHdr: 65535, EthDev: 65535} {
		if got := f.MaxPacket(size); got != want {
			t.Errorf("%v: MaxPacket(%d) = %d, want %d", f, size, got, want)
		}
	}
}

// Encode writes the header in one store; this checks it against the table of
// offsets.
func TestHeaderLiesAsInTable(t *testing.T) {
	packet := ipPacket(6, 300)
	packet[0], packet[1] = 0x6b, 0x85 // traffic class 0xb8, then a flow label
	slot := make([]byte, 400)
	if _, fault := NetHdr.Encode(slot, packet, 0x12345678); fault != OK {
		t.Fatal(fault)
	}
	if got := binary.LittleEndian.Uint32(slot[markOffset:]); got != 0x12345678 {
		t.Errorf("mark is %#x", got)
	}
	if got := binary.LittleEndian.Uint16(slot[lengthOffset:]); got != 300 {
		t.Errorf("length is %d", got)
	}
	if got := slot[protocolOffset]; got != 41 {
		t.Errorf("protocol is %d", got)
	}
	if got := slot[qosOffset]; got != 0xb8>>2 {
		t.Errorf("qos is %d", got)
	}
}

func TestFaultNames(t *testing.T) {
	seen := map[string]Fault{}
	for f := range Fault(NumFaults) {
		name := f.String()
		if other, twice := seen[name]; twice || name == "" {
			t.Errorf("fault %d has the name %q, like fault %d", f, name, other)
		}
		seen[name] = f
	}
	if got := Fault(NumFaults).String(); got != "fault(9)" {
		t.Errorf("unknown fault: %q", got)
	}
}
