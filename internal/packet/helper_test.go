package packet

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/net/ipv4"
)

// naiveSum is Sum as in RFC 1071 section 1: 16 bits at a time, in a number too
// wide to overflow.
func naiveSum(b []byte, initial uint32) uint32 {
	sum := uint64(initial)
	for i := 0; i < len(b); i += 2 {
		sum += uint64(b[i]) << 8
		if i+1 < len(b) {
			sum += uint64(b[i+1])
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint32(sum)
}

// payloadOf returns n bytes in which misplaced bytes are detected.
func payloadOf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(7*i + i>>8)
	}
	return b
}

// packet4 describes an IPv4 packet to build; zero fields get ordinary values.
type packet4 struct {
	tos, protocol byte
	id, word      uint16
	from, to      [4]byte
	options       []byte
	payload       []byte
}

func (d packet4) build() []byte {
	if d.protocol == 0 {
		d.protocol = 17
	}
	if d.from == [4]byte{} {
		d.from = [4]byte{192, 168, 1, 1}
	}
	if d.to == [4]byte{} {
		d.to = [4]byte{10, 9, 0, 1}
	}
	header := 20 + len(d.options)
	p := append(make([]byte, 20), d.options...)
	p = append(p, d.payload...)
	p[0], p[1], p[8], p[9] = 0x40|byte(header/4), d.tos, 64, d.protocol
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	binary.BigEndian.PutUint16(p[4:], d.id)
	binary.BigEndian.PutUint16(p[6:], d.word)
	copy(p[12:], d.from[:])
	copy(p[16:], d.to[:])
	seal(p)
	return p
}

// seal sets the header checksum of the IPv4 packet p.
func seal(p []byte) {
	p[10], p[11] = 0, 0
	binary.BigEndian.PutUint16(p[10:], ^uint16(naiveSum(p[:int(p[0]&15)*4], 0)))
}

// packet6 builds an IPv6 packet from 2001:db8::1 to 2001:db8::2.
func packet6(next byte, payload []byte) []byte {
	p := append(make([]byte, 40), payload...)
	p[0], p[6], p[7] = 0x60, next, 64
	binary.BigEndian.PutUint16(p[4:], uint16(len(payload)))
	copy(p[8:], []byte{0x20, 1, 0xd, 0xb8, 15: 1})
	copy(p[24:], []byte{0x20, 1, 0xd, 0xb8, 15: 2})
	return p
}

// cut returns copies of all pieces of p, which it overwrites.
func cut(t testing.TB, p []byte, limit int) [][]byte {
	t.Helper()
	s, ok := Fragment(p, limit)
	if !ok {
		t.Fatalf("no pieces of %d bytes at %d", len(p), limit)
	}
	var all [][]byte
	for piece := s.Next(); piece != nil; piece = s.Next() {
		if len(piece) != cap(piece) {
			t.Fatal("an append to a piece would overwrite the rest of the packet")
		}
		all = append(all, bytes.Clone(piece))
	}
	if s.Next() != nil {
		t.Fatal("a piece after the last")
	}
	return all
}

// checkPieces checks that the pieces are valid IPv4 packets of at most limit
// bytes that reassemble to the packet. It uses an independent parser and only
// the offsets.
func checkPieces(t *testing.T, packet []byte, pieces [][]byte, limit int) {
	t.Helper()
	whole, err := ipv4.ParseHeader(packet)
	if err != nil {
		t.Fatal(err)
	}
	if len(pieces) < 2 {
		t.Fatalf("%d pieces of a packet that does not fit", len(pieces))
	}
	payload := make([]byte, len(packet)-whole.Len)
	filled := 0
	for i, piece := range pieces {
		h, err := ipv4.ParseHeader(piece)
		if err != nil {
			t.Fatalf("piece %d: %v", i, err)
		}
		last := i == len(pieces)-1
		if len(piece) > limit || h.TotalLen != len(piece) || naiveSum(piece[:h.Len], 0) != 0xffff {
			t.Fatalf("piece %d of %d bytes: limit %d, total length %d, header % x", i, len(piece), limit, h.TotalLen, piece[:h.Len])
		}
		if h.TOS != whole.TOS || h.ID != whole.ID || h.TTL != whole.TTL || h.Protocol != whole.Protocol ||
			!h.Src.Equal(whole.Src) || !h.Dst.Equal(whole.Dst) {
			t.Fatalf("piece %d: header %v of a packet with %v", i, h, whole)
		}
		flags := whole.Flags
		if !last {
			flags |= ipv4.MoreFragments
		}
		if h.Flags != flags {
			t.Fatalf("piece %d: flags %b, want %b", i, h.Flags, flags)
		}
		body := piece[h.Len:]
		if len(body) == 0 || !last && len(body)%8 != 0 {
			t.Fatalf("piece %d carries %d bytes", i, len(body))
		}
		if !last && len(piece) <= limit-8 {
			t.Fatalf("piece %d of %d bytes could have carried more at %d", i, len(piece), limit)
		}
		if at := (h.FragOff - whole.FragOff) * 8; at != filled {
			t.Fatalf("piece %d begins at %d, want %d", i, at, filled)
		}
		filled += copy(payload[filled:], body)
		options := packet[20:whole.Len]
		if i > 0 {
			options = copiedOptions(options)
		}
		if !bytes.Equal(piece[20:h.Len], options) {
			t.Fatalf("piece %d: options % x, want % x", i, piece[20:h.Len], options)
		}
	}
	if !bytes.Equal(payload, packet[whole.Len:]) {
		t.Fatal("the pieces do not reassemble to the packet")
	}
}

// copiedOptions returns the options that RFC 791 lets a fragment keep.
func copiedOptions(options []byte) []byte {
	var kept []byte
	for i := 0; i < len(options) && options[i] != 0; {
		length := 1
		if options[i] != 1 {
			length = int(options[i+1])
		}
		if options[i] >= 128 {
			kept = append(kept, options[i:i+length]...)
		}
		i += length
	}
	for len(kept)%4 != 0 {
		kept = append(kept, 0)
	}
	return kept
}
