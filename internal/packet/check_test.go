package packet

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
)

func TestLimit(t *testing.T) {
	for _, c := range []struct {
		entry   uint32
		version int
		want    int
	}{
		{0, 4, 0}, {0, 6, 0},
		{1, 4, 68}, {27, 4, 68}, {67, 4, 68}, {68, 4, 68}, {69, 4, 69}, {1000, 4, 1000}, {65535, 4, 65535},
		{1, 6, 1280}, {68, 6, 1280}, {1279, 6, 1280}, {1280, 6, 1280}, {1281, 6, 1281}, {65575, 6, 65575},
		{65576, 6, 65575}, {math.MaxUint32, 4, 65575}, {math.MaxUint32, 6, 65575},
		{5, 0, 68},
	} {
		if got := Limit(c.entry, c.version); got != c.want {
			t.Errorf("Limit(%d, %d) = %d, want %d", c.entry, c.version, got, c.want)
		}
	}
}

func TestVersion(t *testing.T) {
	for want, p := range map[int][]byte{0: nil, 4: {0x45}, 6: {0x6f, 1}, 15: {0xf0}} {
		if got := Version(p); got != want {
			t.Errorf("version of % x is %d, want %d", p, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	plain := packet4{payload: payloadOf(980)}.build() // 1000 bytes
	change := func(f func(p []byte)) []byte {
		p := bytes.Clone(plain)
		f(p)
		return p
	}
	long := packet6(17, payloadOf(1300))
	for _, c := range []struct {
		name   string
		packet []byte
		limit  int
		want   Verdict
	}{
		{"no limit", plain, 0, Fits},
		{"negative limit", plain, -1, Fits},
		{"exactly", plain, 1000, Fits},
		{"one more", plain, 999, Cut},
		{"DF", packet4{word: dontFragment, payload: payloadOf(980)}.build(), 999, Refuse},
		{"DF that fits", packet4{word: dontFragment, payload: payloadOf(980)}.build(), 1000, Fits},
		{"v6", long, 1339, Refuse},
		{"v6 exactly", long, 1340, Fits},
		{"not IP, fits", []byte{1, 2, 3}, 3, Fits},
		{"not IP", payloadOf(100), 68, Drop},
		{"nothing", nil, 68, Fits},
		{"checksum", change(func(p []byte) { p[8]-- }), 999, Drop},
		{"checksum with DF", change(func(p []byte) { p[6] = 0x40 }), 999, Drop},
		{"total length short", change(func(p []byte) { p[3]--; seal(p) }), 999, Drop},
		{"total length long", change(func(p []byte) { p[3]++; seal(p) }), 999, Drop},
		{"header length 16", change(func(p []byte) { p[0] = 0x44; seal(p) }), 999, Drop},
		{"header beyond the packet", []byte{0x4f, 0, 0, 20, 19: 1}, 19, Drop},
		{"short v4", plain[:19], 10, Drop},
		{"short v6", long[:39], 10, Drop},
		{"v6 length", long[:1339], 1280, Drop},
		{"no room after the header", plain, 27, Drop},
		{"just enough room after the header", plain, 28, Cut},
		{"option of length 0", packet4{options: []byte{0x83, 0, 0, 0}, payload: payloadOf(980)}.build(), 999, Drop},
		{"option of length 1", packet4{options: []byte{7, 1, 0, 0}, payload: payloadOf(980)}.build(), 999, Drop},
		{"option beyond the header", packet4{options: []byte{1, 0x83, 4, 0}, payload: payloadOf(980)}.build(), 999, Drop},
		{"option without its length", packet4{options: []byte{1, 1, 1, 0x83}, payload: payloadOf(980)}.build(), 999, Drop},
		{"garbage after the end of options", packet4{options: []byte{0, 0x83, 99, 0}, payload: payloadOf(980)}.build(), 999, Cut},
		{"middle fragment of odd length", packet4{word: moreFollow, payload: payloadOf(981)}.build(), 999, Drop},
		{"last fragment of odd length", packet4{word: 5, payload: payloadOf(981)}.build(), 999, Cut},
		{"fragment beyond 65535 bytes", packet4{word: 8068, payload: payloadOf(980)}.build(), 999, Drop}, // 64544 + 980 + 20 = 65544
	} {
		before := bytes.Clone(c.packet)
		if got := Check(c.packet, c.limit); got != c.want {
			t.Errorf("%s: verdict %d, want %d", c.name, got, c.want)
		}
		if _, ok := Fragment(c.packet, c.limit); ok != (c.want == Cut) {
			t.Errorf("%s: pieces %t with verdict %d", c.name, ok, c.want)
		}
		if !bytes.Equal(before, c.packet) {
			t.Errorf("%s: packet changed", c.name)
		}
	}
}

// A fragment may end at byte 65535 of its packet and no further.
func TestCheckFragmentAtTheEnd(t *testing.T) {
	const word = 8067 // 64536 bytes into the payload
	for length, want := range map[int]Verdict{978: Cut, 979: Cut, 980: Drop, 990: Drop} {
		p := packet4{word: word, payload: payloadOf(length)}.build()
		if got := Check(p, 500); got != want {
			t.Errorf("%d bytes from %d: verdict %d, want %d", length, word*8, got, want)
		}
	}
}

func TestTransport(t *testing.T) {
	fragment := func(next byte, offset uint16) []byte {
		b := make([]byte, 8)
		b[0] = next
		binary.BigEndian.PutUint16(b[2:], offset|1)
		return b
	}
	for _, c := range []struct {
		name     string
		next     byte
		payload  []byte
		protocol uint8
		rest     int // bytes, -1 for nil
		ok       bool
	}{
		{"none", 17, payloadOf(9), 17, 9, true},
		{"no next header", 59, nil, 59, 0, true},
		{"ESP is opaque", 50, payloadOf(9), 50, 9, true},
		{"hop-by-hop", 0, append([]byte{58, 0, 6: 0, 7: 0}, 128), 58, 1, true},
		{"longer destination options", 60, append([]byte{6, 1, 15: 0}, 1, 2), 6, 2, true},
		{"authentication", 51, append([]byte{6, 4, 23: 0}, 1, 2, 3), 6, 3, true},
		{"three", 0, append([]byte{43, 0, 7: 0}, append([]byte{135, 0, 7: 0}, append([]byte{58, 0, 7: 0}, 1)...)...), 58, 1, true},
		{"first fragment", 44, append(fragment(58, 0), 128, 0), 58, 2, true},
		{"later fragment", 44, append(fragment(58, 8), 128, 0), 58, -1, true},
		{"fragment header cut off", 44, fragment(58, 8)[:7], 44, -1, false},
		{"option cut off", 0, []byte{58, 0, 0}, 0, -1, false},
		{"option beyond the packet", 0, []byte{58, 1, 14: 0}, 0, -1, false},
		{"authentication cut off", 51, []byte{58}, 51, -1, false},
		{"endless", 0, make([]byte, 65528), 0, -1, false},
	} {
		h, ok := ParseIPv6(packet6(c.next, c.payload))
		if !ok {
			t.Fatalf("%s: not parsed", c.name)
		}
		protocol, rest, ok := h.Transport()
		if protocol != c.protocol || ok != c.ok || (rest == nil) != (c.rest < 0) || rest != nil && len(rest) != c.rest {
			t.Errorf("%s: protocol %d, %d bytes (nil %t), %t", c.name, protocol, len(rest), rest == nil, ok)
		}
	}
}
