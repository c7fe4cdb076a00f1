package packet

import "testing"

// Measures the allocations along the whole path of a packet.
func TestNothingAllocates(t *testing.T) {
	plain := packet4{options: []byte{0x94, 4, 0, 0}, payload: payloadOf(1400)}.build()
	p4 := packet4{word: dontFragment, payload: payloadOf(1400)}.build()
	p6 := packet6(0, append([]byte{58, 0, 7: 0, 8: 128}, payloadOf(1400)...))
	work := make([]byte, len(plain))
	dst := make([]byte, MaxTooBig)
	var pieces, answers int
	allocations := testing.AllocsPerRun(100, func() {
		copy(work, plain)
		for _, p := range [...][]byte{work, p4, p6} {
			limit := Limit(68, Version(p))
			switch Check(p, limit) {
			case Cut:
				s, _ := Fragment(p, limit)
				for piece := s.Next(); piece != nil; piece = s.Next() {
					pieces++
				}
			case Refuse:
				if _, ok := TooBig(dst, p, limit); ok {
					answers++
				}
			}
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
	if pieces == 0 || answers != 2*101 {
		t.Errorf("%d pieces and %d answers: the test measures the wrong thing", pieces, answers)
	}
}
