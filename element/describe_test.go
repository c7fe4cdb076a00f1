package element

import (
	"bytes"
	"testing"
)

func TestDescribe(t *testing.T) {
	encoded := func(f Format, size int, packet []byte, mark uint32) []byte {
		elem := make([]byte, size)
		if _, fault := f.Encode(elem, packet, mark); fault != OK {
			t.Fatal(fault)
		}
		return elem
	}
	v4 := ipPacket(4, 60)
	v4[1] = 0xb8
	stray := encoded(NetHdr, 100, v4, 7)
	stray[70], stray[99] = 1, 2
	strayFrame := encoded(EthDev, 100, pattern(60), 0)
	strayFrame[97] = 1
	for _, c := range []struct {
		name string
		f    Format
		elem []byte
		want string
		n    int
	}{
		{"IPv4", NetHdr, encoded(NetHdr, 100, v4, 7), "mark 0x7, length 60, protocol 4 (IPv4), qos 46", 60},
		{"IPv6", NetHdr, encoded(NetHdr, 100, ipPacket(6, 41), 0), "mark 0x0, length 41, protocol 41 (IPv6), qos 20", 41},
		{"wrong length field", NetHdr, ipElement(100, 0xffffffff, 9, 4, 1, v4),
			"mark 0xffffffff, length 9, protocol 4 (IPv4), qos 1, packet of 60 bytes", 60},
		{"stray bytes", NetHdr, stray, "mark 0x7, length 60, protocol 4 (IPv4), qos 46, 2 stray bytes after it", 60},
		{"protocol 6", NetHdr, ipElement(100, 0, 60, 6, 0, v4), "mark 0x0, length 60, protocol 6, qos 0: bad_protocol", 0},
		{"frame", EthDev, encoded(EthDev, 100, pattern(60), 0), "length 60", 60},
		{"stray byte after frame", EthDev, strayFrame, "length 60, 1 stray bytes after it", 60},
		{"hostile frame", EthDev, ethElement(100, 65535), "length 65535: bad_length", 0},
		{"raw", Raw, encoded(Raw, 100, pattern(7), 0), "length 7", 100},
		{"raw zeros", Raw, make([]byte, 100), "length 0", 100},
		{"too small", NetHdr, make([]byte, 3), "bad_element", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := bytes.Clone(c.elem)
			d := Describe(c.f, c.elem)
			if got := d.String(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if len(d.Packet) != c.n {
				t.Errorf("packet of %d bytes, want %d", len(d.Packet), c.n)
			}
			if !bytes.Equal(before, c.elem) {
				t.Error("Describe changed the element")
			}
		})
	}
}
