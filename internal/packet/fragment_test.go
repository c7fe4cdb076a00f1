package packet

import (
	"bytes"
	"testing"
)

func lengths(pieces [][]byte) []int {
	var all []int
	for _, piece := range pieces {
		all = append(all, len(piece))
	}
	return all
}

func TestFragmentLengths(t *testing.T) {
	for _, c := range []struct{ length, limit, first, last, pieces int }{
		{1428, 1000, 996, 452, 2},
		{1001, 1000, 996, 25, 2},
		{69, 68, 68, 21, 2},
		{1500, 68, 68, 60, 31},
		{65535, 1500, 1500, 415, 45},
		{65535, 65534, 65532, 23, 2},
	} {
		packet := packet4{tos: 0xb8, id: 0x7393, payload: payloadOf(c.length - 20)}.build()
		pieces := cut(t, bytes.Clone(packet), c.limit)
		checkPieces(t, packet, pieces, c.limit)
		if n := lengths(pieces); len(n) != c.pieces || n[0] != c.first || n[len(n)-1] != c.last {
			t.Errorf("%d bytes at %d: pieces of %v", c.length, c.limit, n)
		}
	}
}

func TestFragmentEverySmallSize(t *testing.T) {
	option := []byte{0x83, 7, 4, 10, 0, 0, 1, 0} // loose source route, copied
	for _, options := range [][]byte{nil, option[:0:0], {1, 1, 1, 0}, option} {
		for limit := 36; limit <= 100; limit++ {
			for length := 0; length <= 240; length++ {
				packet := packet4{id: 1, options: options, payload: payloadOf(length)}.build()
				if Check(packet, limit) != Cut {
					if len(packet) > limit {
						t.Fatalf("%d bytes are not cut at %d", len(packet), limit)
					}
					continue
				}
				checkPieces(t, packet, cut(t, bytes.Clone(packet), limit), limit)
			}
		}
	}
}

func TestFragmentOptions(t *testing.T) {
	var (
		recordRoute = []byte{7, 7, 4, 0, 0, 0, 0}
		sourceRoute = []byte{0x83, 7, 4, 10, 0, 0, 1}
		alert       = []byte{0x94, 4, 0, 0}
		none        = []byte{1}
		end         = []byte{0}
	)
	for _, c := range []struct {
		name          string
		options, want [][]byte
	}{
		{"none is copied", [][]byte{recordRoute, none}, nil},
		{"one is copied, with an end", [][]byte{sourceRoute, none, recordRoute, none}, [][]byte{sourceRoute, end}},
		{"copied ones move up", [][]byte{recordRoute, alert, none, sourceRoute, end}, [][]byte{alert, sourceRoute, end}},
		{"the longest possible", [][]byte{append([]byte{0x88, 40}, payloadOf(38)...)}, [][]byte{append([]byte{0x88, 40}, payloadOf(38)...)}},
	} {
		packet := packet4{options: bytes.Join(c.options, nil), payload: payloadOf(300)}.build()
		pieces := cut(t, bytes.Clone(packet), 100)
		checkPieces(t, packet, pieces, 100)
		for _, piece := range pieces[1:] {
			if got, want := piece[20:int(piece[0]&15)*4], bytes.Join(c.want, nil); !bytes.Equal(got, want) {
				t.Errorf("%s: options % x, want % x", c.name, got, want)
			}
		}
	}
}

// Splitting a packet twice gives the same fragments as splitting it once: the
// same offsets, and MF on all but the very last.
func TestFragmentOfFragment(t *testing.T) {
	packet := packet4{id: 77, payload: payloadOf(1480)}.build()
	var twice [][]byte
	for _, piece := range cut(t, bytes.Clone(packet), 620) {
		if Check(piece, 220) == Fits {
			twice = append(twice, piece)
			continue
		}
		pieces := cut(t, bytes.Clone(piece), 220)
		checkPieces(t, piece, pieces, 220)
		twice = append(twice, pieces...)
	}
	once := cut(t, bytes.Clone(packet), 220) // 600 is a multiple of 200
	if len(once) != len(twice) {
		t.Fatalf("pieces of %v, want %v", lengths(twice), lengths(once))
	}
	for i := range once {
		if !bytes.Equal(once[i], twice[i]) {
			t.Errorf("piece %d is % x, want % x", i, twice[i][:20], once[i][:20])
		}
	}
}

func TestNoPieces(t *testing.T) {
	var s Pieces
	if piece := s.Next(); piece != nil {
		t.Errorf("zero Pieces has % x", piece)
	}
}
