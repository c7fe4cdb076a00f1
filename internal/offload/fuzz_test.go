package offload

import (
	"bytes"
	"testing"
)

func FuzzSegments(f *testing.F) {
	for _, d := range []segment{
		{flags: 0x19}, {v6: true, flags: 0x98, options: bytesOf(12)}, {udp: true}, {udp: true, v6: true, eth: true},
		{eth: true, tags: []uint16{typeVLAN}, flags: 0x10},
		{v6: true, flags: 0x10, next: 0, extra: []byte{60, 0, 1, 4, 0, 0, 0, 0, 6, 1, 1, 12, 23: 0}},
	} {
		d.payload = bytesOf(150)
		h, p, _, _ := super(d, 60)
		var b [HeaderSize]byte
		h.Encode(b[:])
		f.Add(b[:], p, d.eth)
		h.GSOType = GSONone
		h.Encode(b[:])
		f.Add(b[:], p, d.eth)
	}
	f.Fuzz(func(t *testing.T, header, p []byte, eth bool) {
		var b [HeaderSize]byte
		copy(b[:], header)
		var h Header
		h.Decode(b[:])
		before := bytes.Clone(p)
		var s Segments
		if s.Init(h, p, eth) != OK {
			if s.Count() != 0 || s.Next(nil) != 0 {
				t.Fatal("packets are left after a fault")
			}
			return
		}
		if s.Count() < 1 || s.Count() > len(p) || s.MaxLen() > len(p) {
			t.Fatalf("%d bytes give %d packets of up to %d bytes", len(p), s.Count(), s.MaxLen())
		}
		cut := h.GSOType != GSONone
		dst := make([]byte, s.MaxLen())
		var payload []byte
		packets, longest := 0, 0
		for n := s.Next(dst); n > 0; n = s.Next(dst) {
			packets++
			longest = max(longest, n)
			if cut {
				if err := checkPacket(dst[:n], eth); err != nil {
					t.Fatalf("packet %d: %v: % x", packets, err, dst[:n])
				}
				payload = append(payload, dst[s.headers:n]...)
			}
		}
		if packets != s.Count() || longest != s.MaxLen() {
			t.Fatalf("%d packets, %d announced; longest %d, announced %d", packets, s.Count(), longest, s.MaxLen())
		}
		switch {
		case cut && !bytes.Equal(payload, p[s.headers:]):
			t.Fatal("payload changed")
		case !cut && h.Flags&NeedsCsum != 0:
			at := int(h.CsumStart) + int(h.CsumOffset)
			if !bytes.Equal(dst[:at], p[:at]) || !bytes.Equal(dst[at+2:], p[at+2:]) {
				t.Fatal("more than the checksum changed")
			}
			sum := naiveSum(p[h.CsumStart:], 0) // includes the pseudo-header, which is in the field
			if got := uint64(be16(dst, at)); got != ^sum&0xffff && (got != 0xffff || sum != 0xffff) {
				t.Fatalf("checksum %#x of sum %#x", got, sum)
			}
		case !cut && !bytes.Equal(dst, p):
			t.Fatal("packet changed")
		}
		if !bytes.Equal(p, before) {
			t.Fatal("the super-packet has changed")
		}
	})
}

// FuzzBatch builds the packets of a flow from program, in steps of three bytes:
// what to do, where, and with what value. raw is one more packet.
func FuzzBatch(f *testing.F) {
	plain := bytes.Repeat([]byte{0, 0, 0}, 9)
	for kind := range byte(16) {
		f.Add(plain, []byte{}, kind)
		f.Add(append(bytes.Clone(plain), 1, 33, 0x18, 0, 0, 0, 2, 50, 1, 3, 70, 0, 0, 0, 0), segment{udp: true}.build(), kind)
	}
	f.Fuzz(func(t *testing.T, program, raw []byte, kind byte) {
		d := segment{eth: kind&1 != 0, v6: kind&2 != 0, udp: kind&4 != 0, flags: 0x10}
		protocol, ip := byte(protocolTCP), 0
		if d.udp {
			protocol = protocolUDP
		}
		if d.eth {
			ip = 14
		}
		transport := ip + 20
		if d.v6 {
			transport = ip + 40
		}
		var all [][]byte
		size := 40
		for ; len(program) >= 3 && len(all) < 40; program = program[3:] {
			what, where, value := program[0], int(program[1]), program[2]
			d.payload = bytesOf(size)
			switch what % 8 {
			case 4:
				d.seq += uint32(value)
			case 5:
				size = 1 + where + 256*int(value%8) // 40 of the longest exceed a super-packet
				continue
			case 6:
				all = append(all, raw)
				continue
			case 7:
				d.payload = d.payload[:where%(size+1)]
			}
			p := d.build()
			d.seq += uint32(len(d.payload))
			d.id++
			where %= len(p)
			switch what % 8 {
			case 1: // one byte, with correct checksums
				if where != ip {
					p[where] = value
					seal(p[ip:], transport-ip, protocol)
				}
			case 2: // one byte
				p[where] ^= value
			case 3:
				p = p[:where]
			}
			all = append(all, p)
		}
		if len(all) > 0 {
			checkMerged(t, &Batch{UDP: kind&8 != 0}, all, d.eth)
		}
	})
}
