package vm

import (
	"fmt"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/test/vm/agent"
)

// pair boots a guest on each side of a new shared memory.
func pair(t *testing.T) (a, b *guest, memory string) {
	t.Helper()
	testnet.CheckLeaks(t)
	memory = sharedMemory(t)
	a = start(t, guestConfig{name: "left", memory: memory, words: left.words(3)})
	b = boot(t, guestConfig{name: "right", memory: memory, words: right.words(3)})
	a.await("that it takes tasks", a.ready)
	return a, b, memory
}

// TestTwoGuests joins two guests by ivshmem, in all three formats.
func TestTwoGuests(t *testing.T) {
	a, b, _ := pair(t)
	for _, link := range []int{netLink, ethLink} {
		carry(t, a, b, right, link)
		carry(t, b, a, left, link)
	}
	b.do(agent.Task{Do: "reflect", Interface: "raw0"})
	for _, size := range []int{1, 60, 1499, 1500} {
		a.do(agent.Task{Do: "frames", Interface: "raw0", Size: size, Count: 20})
	}
	carryMarks(t, a, b, right)
	carryMarks(t, b, a, left)
	for _, g := range []*guest{a, b} {
		for _, name := range []string{"net0", "eth0", "raw0"} {
			s := g.state(name)
			if s.Reader.Peer != "active" || s.Reader.Epochs != 1 || s.Stats.RxErrors != 0 || s.Reader.ProtocolErrors != 0 {
				t.Errorf("%s of %s: %+v, reader %+v", name, g.cfg.name, s.Stats, s.Reader)
			}
		}
	}
	a.powerOff()
	b.powerOff()
}

// TestGuestRestarts powers one of two guests off and boots another one in its
// place. The one that stays sees both.
func TestGuestRestarts(t *testing.T) {
	a, b, memory := pair(t)
	a.do(agent.Task{Do: "reach", To: right.addr(right.v4, netLink)})
	b.powerOff()
	eventually(t, "a peer that has powered off is inactive", func() bool { return a.state("net0").Reader.Peer == "inactive" })
	b = boot(t, guestConfig{name: "right-again", memory: memory, words: right.words(3)})
	for _, link := range []int{netLink, ethLink} {
		carry(t, a, b, right, link)
		carry(t, b, a, left, link)
	}
	if s := a.state("net0"); s.Reader.Peer != "active" || s.Reader.Epochs != 2 || s.Reader.ProtocolErrors != 0 {
		t.Errorf("the peer has come again: %+v", s.Reader)
	}
}

// TestGuestKilled kills one of two guests while it writes, more than once, for
// it may be between two writes. What it leaves is its memory, as it was: a header
// that says active, perhaps half an element.
func TestGuestKilled(t *testing.T) {
	a, b, memory := pair(t)
	const rounds = 3
	for round := range rounds {
		a.do(agent.Task{Do: "reach", To: right.addr(right.v4, netLink)})
		before := a.state("net0").Stats.RxPackets
		b.begin(agent.Task{Do: "flood", To: left.addr(left.v4, netLink), Time: time.Hour})
		eventually(t, "the flood arrives", func() bool { return a.state("net0").Stats.RxPackets > before+100 })
		b.kill()
		// The other links are not touched by it, nor is anything else.
		a.do(agent.Task{Do: "ping", To: left.addr(left.v4, netLink)})
		b = boot(t, guestConfig{name: fmt.Sprintf("right-%d", round+1), memory: memory, words: right.words(3)})
	}
	for _, link := range []int{netLink, ethLink} {
		carry(t, a, b, right, link)
	}
	for _, name := range []string{"net0", "eth0"} {
		if s := a.state(name); s.Reader.Peer != "active" || s.Reader.Epochs != rounds+1 || s.Stats.RxFrameErrors != 0 {
			t.Errorf("%s after %d guests that were killed: %+v, reader %+v", name, rounds, s.Stats, s.Reader)
		}
	}
}
