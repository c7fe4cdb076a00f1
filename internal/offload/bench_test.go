package offload

import (
	"testing"
)

// benchmarkSplit splits super-packets into the slots of a channel of 1 MiB. Its
// figures are per segment.
func benchmarkSplit(b *testing.B, d segment, length, size int) {
	d.payload = bytesOf(length)
	h, p, _, _ := super(d, size)
	slots := make([]byte, 1<<20)
	var s Segments
	if f := s.Init(h, p, d.eth); f != OK {
		b.Fatal(f)
	}
	b.SetBytes(int64(length / s.Count()))
	b.ReportAllocs()
	at := 0
	for b.Loop() {
		n := s.Next(slots[at:])
		if n == 0 {
			s.Init(h, p, d.eth)
			n = s.Next(slots[at:])
		}
		if at += n; at+s.MaxLen() > len(slots) {
			at = 0
		}
	}
}

func BenchmarkSplit(b *testing.B) {
	b.Run("Bulk1500", func(b *testing.B) {
		benchmarkSplit(b, segment{flags: 0x10, options: bytesOf(12)}, 45*1448, 1448)
	})
	b.Run("Bulk1500v6", func(b *testing.B) {
		benchmarkSplit(b, segment{v6: true, flags: 0x10, options: bytesOf(12)}, 45*1428, 1428)
	})
	b.Run("Bulk1500UDP", func(b *testing.B) { benchmarkSplit(b, segment{udp: true}, 44*1472, 1472) })
	b.Run("Bulk9000", func(b *testing.B) {
		benchmarkSplit(b, segment{flags: 0x10, options: bytesOf(12)}, 7*8948, 8948)
	})
}

func BenchmarkWhole(b *testing.B) {
	for name, length := range map[string]int{"SmallAck": 0, "Bulk1500": 1448} {
		b.Run(name, func(b *testing.B) {
			h, p, _, _ := super(segment{flags: 0x10, options: bytesOf(12), payload: bytesOf(length)}, 1)
			h.GSOType = GSONone
			dst := make([]byte, len(p))
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			var s Segments
			for b.Loop() {
				s.Init(h, p, false)
				s.Next(dst)
			}
		})
	}
}

// benchmarkMerge adds packets and finishes the batch when one does not fit. Its
// figures are per packet.
func benchmarkMerge(b *testing.B, all [][]byte, udp bool) {
	b.SetBytes(int64(len(all[0])))
	b.ReportAllocs()
	batch := Batch{UDP: udp}
	i, writes := 0, 0
	for b.Loop() {
		p := all[i]
		if !batch.Add(p, false) {
			batch.Finish()
			writes++
			batch.Reset()
			batch.Add(p, false)
		}
		if i++; i == len(all) {
			i = 0
		}
	}
	b.ReportMetric(float64(b.N)/float64(writes+1), "packets/write")
}

func BenchmarkMerge(b *testing.B) {
	tcp := segment{flags: 0x10, options: bytesOf(12)}
	b.Run("Bulk1500", func(b *testing.B) { benchmarkMerge(b, stream(tcp, 360, 1448), false) })
	b.Run("Bulk1500UDP", func(b *testing.B) { benchmarkMerge(b, stream(segment{udp: true}, 352, 1472), true) })
	b.Run("SmallAck", func(b *testing.B) { benchmarkMerge(b, stream(tcp, 64, 0), false) })
	b.Run("Interleaved16Flows", func(b *testing.B) {
		var all [][]byte
		for i := range 360 {
			d := tcp
			d.from, d.seq, d.id, d.payload = uint16(i%16), uint32(i/16*1448), uint16(i/16), bytesOf(1448)
			all = append(all, d.build())
		}
		benchmarkMerge(b, all, false)
	})
}
