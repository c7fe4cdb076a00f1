package offload

import "testing"

func TestNothingAllocates(t *testing.T) {
	var s Segments
	var b Batch
	var n, parts int
	h, p, _, _ := super(segment{flags: 0x18, payload: bytesOf(20000)}, 1448)
	h6, p6, _, _ := super(segment{v6: true, eth: true, flags: 0x18, payload: bytesOf(20000)}, 1448)
	hu, pu, _, _ := super(segment{udp: true, payload: bytesOf(20000)}, 1448)
	whole := Header{Flags: NeedsCsum, CsumStart: 20, CsumOffset: 16}
	dst := make([]byte, len(p6))
	all := append(stream(segment{flags: 0x10}, 20, 1448), stream(segment{v6: true, flags: 0x10}, 20, 1428)...)
	all = append(all, stream(segment{udp: true}, 20, 1472)...)
	b.UDP = true
	got := testing.AllocsPerRun(100, func() {
		for _, c := range [...]struct {
			h   Header
			p   []byte
			eth bool
		}{{h, p, false}, {h6, p6, true}, {hu, pu, false}, {whole, p, false}, {Header{}, p, false}} {
			if s.Init(c.h, c.p, c.eth) == OK {
				for s.Next(dst) > 0 {
					n++
				}
			}
		}
		for _, p := range all {
			if !b.Add(p, false) {
				_, all := b.Finish()
				parts += len(all)
				b.Reset()
				b.Add(p, false)
			}
		}
		_, all := b.Finish()
		parts += len(all)
		b.Reset()
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
	if n != 101*(3*14+2) || parts != 101*3*21 {
		t.Errorf("%d packets and %d parts: the test measures the wrong thing", n, parts)
	}
}
