package shmstream

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// model is a writer that advances in small steps and remembers everything it
// ever published: a naive twin to compare the reader with.
type model struct {
	t       *testing.T
	rng     *rand.Rand
	w       *Writer
	history [][]byte // elements of this epoch, reserved ones last

	reserved, slot, half int // the reservation, and how much of it is written
	size                 int
}

// step takes the writer's next step, a random one if there is a choice.
func (m *model) step() {
	switch {
	case m.reserved == 0 && m.rng.IntN(60) == 0:
		if m.rng.IntN(2) == 0 {
			m.w.Stop()
		}
		m.restart()
	case m.reserved == 0:
		m.reserved, m.slot, m.half = 1+m.rng.IntN(m.w.Elements()), 0, 0
		if m.rng.IntN(2) == 0 {
			m.reserved = 1
		}
		for range m.reserved {
			p := make([]byte, m.rng.IntN(m.size+1), m.size)
			for i := range p {
				p[i] = byte(m.rng.Uint32())
			}
			m.history = append(m.history, p)
		}
		m.w.Reserve(m.reserved)
	case m.slot < m.reserved:
		p := m.history[len(m.history)-m.reserved+m.slot]
		middle := len(p) / 2
		if m.half++; m.half == 1 {
			copy(m.w.Slot(m.slot), p[:middle])
			return
		}
		copy(m.w.Slot(m.slot)[middle:], p[middle:])
		m.w.Fill(m.slot, len(p))
		m.half = 0
		m.slot++
	default:
		m.w.Publish()
		m.reserved = 0
	}
}

func (m *model) restart() {
	m.history = nil
	start(m.t, m.w, m.size)
}

// want returns element n as it must be delivered: padded with zeros.
func (m *model) want(n uint64) []byte {
	p := m.history[n]
	return append(p[:len(p):len(p)], make([]byte, m.size-len(p))...)
}

// Random interleavings, with writer steps between any two loads of the reader
// and in the middle of its copy. Each delivered element is intact and the next
// in order, each other one is counted as lost, no overrun is reported without
// cause, and nothing is reported as an error.
func TestModelInterleavings(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 7))
		elements, size := 1+rng.IntN(8), 1+rng.IntN(8)
		if seed%4 == 0 {
			size += smallElement // uses the table of lengths
		}
		region := newRegion(HeaderSize + elements*size)
		m := &model{t: t, rng: rng, w: newWriter(t, region), size: size}
		m.restart()
		r := newReader(t, region)
		pace := 2 + rng.IntN(12) // the chance of each further writer step is 1/pace
		buf := make([]byte, size)
		delivered, lostBefore, hooks := uint64(0), uint64(0), 0
		between := func(word) {
			hooks++
			for m.rng.IntN(pace) == 0 {
				m.step()
			}
		}
		seen := map[Result]int{}
		intercept(between, nil, func() {
			for range 3000 {
				slot, result := r.Next()
				if result == Success {
					split := rng.IntN(size + 1)
					copy(buf, slot[:split])
					hookLoad(0)
					copy(buf[split:], slot[split:])
					due, epoch := r.Position(), r.Epoch()
					result = r.Confirm()
					switch {
					case result == Success && epoch == m.w.Epoch():
						if due >= uint64(len(m.history)) || !bytes.Equal(buf, m.want(due)) {
							t.Fatalf("seed %d: element %d is torn or out of order: %x", seed, due, buf)
						}
						delivered++
					case result == Overrun && epoch == m.w.Epoch():
						if uint64(len(m.history)) <= due+uint64(elements) {
							t.Fatalf("seed %d: overrun at %d with %d elements of %d begun", seed, due, len(m.history), elements)
						}
						if r.Position() <= due || r.Position() > m.w.Written() {
							t.Fatalf("seed %d: overrun at %d goes to %d, WC is %d", seed, due, r.Position(), m.w.Written())
						}
					}
				}
				seen[result]++
				if r.Epoch() == 0 || result == EpochChanged {
					delivered, lostBefore = 0, r.Stats().Lost
				}
				if got := delivered + r.Stats().Lost - lostBefore; got != r.Position() {
					t.Fatalf("seed %d: %v: %d delivered or lost, RC %d", seed, result, got, r.Position())
				}
			}
		})
		if seen[Incompatible] != 0 || r.Stats().ProtocolErrors != 0 {
			t.Errorf("seed %d: a correct writer was reported incompatible: %s", seed, r.Reason())
		}
		if hooks < 3000 {
			t.Errorf("seed %d: only %d writer steps: the loads are not intercepted", seed, hooks)
		}
		for m.reserved != 0 {
			m.step()
		}
		for range 3 * elements {
			r.Read(buf)
		}
		if _, got := r.Next(); got != NoData || r.Position() != m.w.Written() {
			t.Errorf("seed %d: %v at %d of %d after the writer paused", seed, got, r.Position(), m.w.Written())
		}
	}
}

// A reader looks at every moment of a writer's work, between any two of its
// stores.
func TestReaderBetweenStores(t *testing.T) {
	region := newRegion(HeaderSize + 6)
	w := newWriter(t, region)
	var readers []*Reader
	for range 8 {
		readers = append(readers, newReader(t, region))
	}
	var sent []string
	looks := 0
	look := func(word) {
		looks++
		for i, r := range readers {
			if looks%(i+1) != 0 { // some look less often, and are overrun
				continue
			}
			buf := make([]byte, 2)
			rc := r.Position()
			n, result := r.Read(buf)
			switch {
			case result == Incompatible:
				t.Fatalf("look %d: %s", looks, r.Reason())
			case result == Success && string(buf[:n]) != sent[rc]:
				t.Fatalf("look %d: element %d is %q, want %q", looks, rc, buf[:n], sent[rc])
			}
		}
	}
	intercept(nil, look, func() {
		for range 50 {
			sent = nil
			start(t, w, 2)
			for i := range 9 {
				p := string([]byte{byte('a' + i), byte(looks)})
				sent = append(sent, p)
				w.Write([]byte(p))
			}
			w.Stop()
		}
	})
	for i, r := range readers[:3] {
		if r.Stats().EpochChanges < 40 {
			t.Errorf("reader %d followed %d of 50 sessions", i, r.Stats().EpochChanges)
		}
	}
}
