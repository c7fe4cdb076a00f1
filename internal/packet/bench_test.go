package packet

import "testing"

func BenchmarkCheckFits1500(b *testing.B) {
	p := packet4{payload: payloadOf(1480)}.build()
	b.ReportAllocs()
	for b.Loop() {
		if Check(p, Limit(1500, Version(p))) != Fits {
			b.Fatal("does not fit")
		}
	}
}

// The pieces overwrite the packet, so each iteration also copies the packet
// first.
func BenchmarkFragment(b *testing.B) {
	for _, c := range []struct {
		name          string
		length, limit int
	}{{"Bulk1500At1000", 1500, 1000}, {"Bulk1500At68", 1500, 68}, {"Jumbo9000At1500", 9000, 1500}} {
		b.Run(c.name, func(b *testing.B) {
			packet := packet4{payload: payloadOf(c.length - 20)}.build()
			p := make([]byte, len(packet))
			b.SetBytes(int64(c.length))
			b.ReportAllocs()
			for b.Loop() {
				copy(p, packet)
				s, ok := Fragment(p, c.limit)
				if !ok {
					b.Fatal("not cut")
				}
				for s.Next() != nil {
				}
			}
		})
	}
}

func BenchmarkTooBig(b *testing.B) {
	for _, c := range []struct {
		name string
		p    []byte
	}{
		{"IPv4Bulk1500", packet4{word: dontFragment, payload: payloadOf(1480)}.build()},
		{"IPv6Bulk1500", packet6(17, payloadOf(1460))},
	} {
		b.Run(c.name, func(b *testing.B) {
			var dst [MaxTooBig]byte
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := TooBig(dst[:], c.p, 1400); !ok {
					b.Fatal("no answer")
				}
			}
		})
	}
}
