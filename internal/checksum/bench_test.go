package checksum

import "testing"

var lengths = []struct {
	name   string
	length int
}{{"Header20", 20}, {"SmallAck", 52}, {"Run96", 96}, {"Run128", 128}, {"Bulk1500", 1448}, {"Jumbo9000", 8948}, {"Super64K", 65483}}

func benchmark(b *testing.B, run func(dst, src []byte) uint32) {
	for _, c := range lengths {
		b.Run(c.name, func(b *testing.B) {
			src, dst := bytesOf(c.length), make([]byte, c.length)
			b.SetBytes(int64(c.length))
			b.ReportAllocs()
			for b.Loop() {
				run(dst, src)
			}
		})
	}
}

func BenchmarkSum(b *testing.B) {
	benchmark(b, func(_, src []byte) uint32 { return Sum(src, 0) })
}

func BenchmarkCopy(b *testing.B) {
	benchmark(b, func(dst, src []byte) uint32 { return Copy(dst, src, 0) })
}

// Without vectors.
func BenchmarkGo(b *testing.B) {
	defer func(has bool) { vector = has }(vector)
	vector = false
	b.Run("Sum", BenchmarkSum)
	b.Run("Copy", BenchmarkCopy)
}
