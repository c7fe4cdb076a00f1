package packet

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// mend fixes the lengths and the checksum of random bytes, which are hardly
// ever a valid packet, and leaves the rest alone.
func mend(p []byte) []byte {
	p = bytes.Clone(p)
	switch {
	case len(p) >= 20 && len(p) <= 65535 && p[0]>>4 == 4:
		if n := int(p[0]&15) * 4; n < 20 || n > len(p) {
			p[0] = 0x45
		}
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		seal(p)
	case len(p) >= 40 && len(p) <= 65575 && p[0]>>4 == 6:
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-40))
	}
	return p
}

func FuzzFragment(f *testing.F) {
	f.Add(packet4{payload: payloadOf(1408)}.build(), 1000, false)
	f.Add(packet4{word: moreFollow | 3, payload: payloadOf(240)}.build(), 68, true)
	f.Add(packet4{word: reserved, options: []byte{1, 0x83, 7, 4, 10, 0, 0, 1}, payload: payloadOf(240)}.build(), 100, true)
	f.Add(packet4{word: 8067, payload: payloadOf(979)}.build(), 500, true)
	f.Add(packet6(17, payloadOf(100)), 68, true)
	f.Fuzz(func(t *testing.T, p []byte, limit int, good bool) {
		if good {
			p = mend(p)
		}
		whole := bytes.Clone(p)
		verdict := Check(p, limit)
		if _, ok := Fragment(p, limit); limit > 0 && ok != (verdict == Cut) {
			t.Fatalf("pieces %t with verdict %d", ok, verdict)
		}
		if !bytes.Equal(p, whole) {
			t.Fatal("packet changed")
		}
		if verdict == Cut {
			checkPieces(t, whole, cut(t, p, limit), limit)
		}
	})
}

func FuzzTooBig(f *testing.F) {
	f.Add(packet4{word: dontFragment, payload: payloadOf(1408)}.build(), 1000, false)
	f.Add(packet4{word: dontFragment, protocol: 1, payload: payloadOf(100)}.build(), 68, true)
	f.Add(packet4{word: dontFragment, options: []byte{1, 1, 1, 0}, payload: payloadOf(100)}.build(), 68, true)
	f.Add(packet6(17, payloadOf(1300)), 1280, false)
	f.Add(packet6(0, append([]byte{58, 0, 7: 0, 8: 128}, payloadOf(1300)...)), 1280, true)
	f.Add(packet6(44, append([]byte{58, 0, 0, 8, 7: 0, 8: 128}, payloadOf(1300)...)), 1280, true)
	f.Fuzz(func(t *testing.T, p []byte, mtu int, good bool) {
		if good {
			p = mend(p)
		}
		whole := bytes.Clone(p)
		dst := make([]byte, MaxTooBig)
		n, ok := TooBig(dst, p, mtu)
		if !bytes.Equal(p, whole) {
			t.Fatal("packet changed")
		}
		if !ok {
			if n != 0 || !bytes.Equal(dst, make([]byte, MaxTooBig)) {
				t.Fatalf("no answer, but %d bytes", n)
			}
			return
		}
		if Check(p, mtu) != Refuse {
			t.Fatal("answer to a packet that is not refused")
		}
		checkTooBig(t, dst[:n], p, mtu)
		if source := dst[12]; p[0]>>4 == 4 && source >= 224 && source < 240 || p[0]>>4 == 6 && dst[8] == 0xff {
			t.Fatal("answer from a multicast address")
		}
	})
}
