package element

import (
	"strconv"
	"testing"
)

// Benchmarks by traffic: packets of 64, 512 and 1500 bytes in the elements of
// an interface with MTU 1500.

func BenchmarkEncode(b *testing.B) {
	eachTraffic(b, func(b *testing.B, f Format, slot, _, packet []byte) {
		for b.Loop() {
			f.Encode(slot, packet, 7)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	eachTraffic(b, func(b *testing.B, f Format, slot, dst, _ []byte) {
		for b.Loop() {
			f.Decode(dst, slot)
		}
	})
}

func BenchmarkEncodeDecode(b *testing.B) {
	eachTraffic(b, func(b *testing.B, f Format, slot, dst, packet []byte) {
		for b.Loop() {
			f.Encode(slot, packet, 7)
			f.Decode(dst, slot)
		}
	})
}

func eachTraffic(b *testing.B, run func(b *testing.B, f Format, slot, dst, packet []byte)) {
	for _, f := range []Format{NetHdr, EthDev, Raw} {
		for _, n := range []int{64, 512, 1500} {
			b.Run(f.String()+strconv.Itoa(n), func(b *testing.B) {
				size := f.Size(1500)
				slot, dst, packet := make([]byte, size), make([]byte, size), packetFor(f, n)
				if _, fault := f.Encode(slot, packet, 7); fault != OK {
					b.Fatal(fault)
				}
				if _, fault := f.Decode(dst, slot); fault != OK {
					b.Fatal(fault)
				}
				b.SetBytes(int64(n))
				b.ReportAllocs()
				run(b, f, slot, dst, packet)
			})
		}
	}
}
