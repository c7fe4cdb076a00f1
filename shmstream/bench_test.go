package shmstream

import "testing"

// The traffic of a 1 MiB channel with MTU 1500: elements of 1516 bytes, into
// which a packet of the given length is written and then copied out on the
// other side. (The hooks of the test build cost about a nanosecond per
// operation.)

const benchSize = 1516

func benchWriter(b *testing.B) (*Writer, []byte) {
	region := newRegion(1 << 20)
	w := startWriter(b, region, benchSize)
	b.ReportAllocs()
	return w, region
}

func writePacket(w *Writer, p []byte) {
	w.Reserve(1)
	copy(w.Slot(0), p)
	w.Fill(0, len(p))
	w.Publish()
}

func benchmarkWrite(b *testing.B, n int) {
	w, _ := benchWriter(b)
	p := make([]byte, n)
	b.SetBytes(int64(n))
	for b.Loop() {
		writePacket(w, p)
	}
}

func BenchmarkWrite64(b *testing.B)   { benchmarkWrite(b, 64) }
func BenchmarkWrite512(b *testing.B)  { benchmarkWrite(b, 512) }
func BenchmarkWrite1516(b *testing.B) { benchmarkWrite(b, 1516) }

func benchmarkWriteRead(b *testing.B, n int) {
	w, region := benchWriter(b)
	r := newReader(b, region)
	if got := r.SkipPending(); got != Success {
		b.Fatal(got)
	}
	p, q := make([]byte, n), make([]byte, n)
	b.SetBytes(int64(n))
	for b.Loop() {
		writePacket(w, p)
		if _, result := r.Read(q); result != Success {
			b.Fatal(result)
		}
	}
}

func BenchmarkWriteRead64(b *testing.B)   { benchmarkWriteRead(b, 64) }
func BenchmarkWriteRead512(b *testing.B)  { benchmarkWriteRead(b, 512) }
func BenchmarkWriteRead1516(b *testing.B) { benchmarkWriteRead(b, 1516) }

// A burst of 64 packets published at once, as the forwarder does.
func BenchmarkWriteReadBurst64x64(b *testing.B) {
	w, region := benchWriter(b)
	r := newReader(b, region)
	if got := r.SkipPending(); got != Success {
		b.Fatal(got)
	}
	const burst = 64
	p, q := make([]byte, 64), make([]byte, 64)
	b.SetBytes(burst * 64)
	for b.Loop() {
		w.Reserve(burst)
		for i := range burst {
			copy(w.Slot(i), p)
			w.Fill(i, len(p))
		}
		w.Publish()
		for range burst {
			if _, result := r.Read(q); result != Success {
				b.Fatal(result)
			}
		}
	}
}
