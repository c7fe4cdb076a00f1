package offload

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// traffic returns packets of several flows as a peer might send them: mostly in
// order, but some lost, repeated, out of order, interleaved, damaged, padded,
// or of other kinds.
func traffic(r *rand.Rand, eth bool) [][]byte {
	flows := make([]segment, 1+r.IntN(3))
	sizes := make([]int, len(flows))
	for i := range flows {
		d := segment{eth: eth, v6: r.IntN(2) == 0, udp: r.IntN(4) == 0, flags: 0x10, tos: byte(r.IntN(4)), from: uint16(i)}
		d.seq, d.id, d.ack, d.window = r.Uint32(), uint16(r.Uint32()), r.Uint32(), uint16(r.Uint32())
		if r.IntN(3) == 0 {
			d.seq, d.id = -uint32(r.IntN(5000)), -uint16(r.IntN(5))
		}
		if r.IntN(2) == 0 {
			d.word = dontFragment
		}
		d.options = randomBytes(r, 4*r.IntN(11))
		sizes[i] = 1 + r.IntN([]int{3, 100, 1448, 9000}[r.IntN(4)])
		flows[i] = d
	}
	var all [][]byte
	i := 0
	calm := r.IntN(2) == 0
	for range 1 + r.IntN(100) {
		if r.IntN(8) == 0 {
			i = r.IntN(len(flows))
		}
		d := &flows[i]
		now := *d
		now.payload = randomBytes(r, sizes[i])
		lost, twice := false, false
		if !calm || r.IntN(20) == 0 {
			switch r.IntN(60) {
			case 0:
				lost = true
			case 1:
				twice = true
			case 2:
				now.flags |= psh
			case 3:
				now.flags |= fin
			case 4:
				now.flags |= cwr | 0x40
			case 5:
				d.tos ^= 3 // toggles congestion experienced
			case 6:
				now.payload = nil
			case 7:
				now.payload = now.payload[:r.IntN(len(now.payload))]
			case 8:
				now.payload = append(now.payload, 1)
			case 9:
				d.ack += 1000
			case 10:
				d.window++
			case 11:
				now.padding = r.IntN(20)
			case 12:
				now.flags |= syn
			case 13:
				now.tags = []uint16{typeVLAN}
			case 14:
				d.id += uint16(r.IntN(3))
			case 15:
				if len(d.options) > 0 {
					d.options = bytes.Clone(d.options)
					d.options[0]++
				}
			case 16:
				now.word |= 0x2000
			case 17:
				now.extra, now.next = []byte{6, 0, 1, 4, 0, 0, 0, 0}, 60
				now.options = nil
			case 18:
				now.flags |= urg
				now.urgent = 7
			}
		}
		p := now.build()
		if !calm && r.IntN(40) == 0 {
			p[r.IntN(len(p))] ^= 1 << r.IntN(8)
		}
		d.seq += uint32(len(now.payload))
		d.id++
		if !lost {
			all = append(all, p)
		}
		if twice {
			all = append(all, p)
		}
		if n := len(all); n > 1 && !calm && r.IntN(30) == 0 {
			all[n-1], all[n-2] = all[n-2], all[n-1]
		}
	}
	return all
}

// checkMerged sends all through b as its documentation says and splits the
// results. It compares the packets with the originals, byte for byte, and the
// number in each super-packet with naiveMerge. It returns the number of
// super-packets.
func checkMerged(t *testing.T, b *Batch, all [][]byte, eth bool) (writes int) {
	t.Helper()
	at := 0
	write := func() {
		t.Helper()
		want := all[at : at+b.Len()]
		if n := naiveMerge(all[at:], eth, b.UDP); n != b.Len() {
			t.Fatalf("from packet %d on %d were merged, want %d", at, b.Len(), n)
		}
		h, p := joined(b)
		if len(p) != b.Bytes() {
			t.Fatalf("%d bytes, Bytes says %d", len(p), b.Bytes())
		}
		got := [][]byte{p}
		if h != (Header{}) || b.Len() != 1 {
			var f Fault
			if got, f = splitAll(h, p, eth); f != OK {
				t.Fatalf("from packet %d on: %v of %+v", at, f, h)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("from packet %d on: %d became %d", at, len(want), len(got))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("packet %d became\n% x, was\n% x", at+i, got[i], want[i])
			}
		}
		at += b.Len()
		writes++
		b.Reset()
	}
	for _, p := range all {
		if !b.Add(p, eth) {
			write()
			if !b.Add(p, eth) {
				t.Fatal("an empty batch refused a packet")
			}
		}
	}
	if b.Len() > 0 {
		write()
	}
	if at != len(all) {
		t.Fatalf("%d packets came out of %d", at, len(all))
	}
	return writes
}

func TestMergeAndSplitAgain(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	rounds := 300
	if testing.Short() {
		rounds = 100
	}
	var packets, writes int
	for round := range rounds {
		eth := round%2 == 0
		all := traffic(r, eth)
		packets += len(all)
		writes += checkMerged(t, &Batch{UDP: round%3 != 0}, all, eth)
	}
	t.Logf("%d packets in %d writes", packets, writes)
	if packets < 2*writes {
		t.Errorf("%d packets took %d writes: too few are merged", packets, writes)
	}
}
