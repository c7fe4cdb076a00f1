package vm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/test/vm/agent"
)

// pair boots a guest on each side of a new shared memory.
func pair(t *testing.T, k kernel) (a, b *guest, memory string) {
	t.Helper()
	testnet.CheckLeaks(t)
	memory = sharedMemory(t)
	a = start(t, guestConfig{name: "left", kernel: k, memory: memory, words: left.words(3)})
	b = boot(t, guestConfig{name: "right", kernel: k, memory: memory, words: right.words(3)})
	a.await("that it takes tasks", a.ready)
	return a, b, memory
}

// TestTwoGuests joins two guests by ivshmem, in all three formats.
func TestTwoGuests(t *testing.T) {
	for _, k := range []kernel{debian, newest} {
		t.Run(k.name, func(t *testing.T) { twoGuests(t, k) })
	}
}

func twoGuests(t *testing.T, k kernel) {
	bytes := int64(streamed)
	if k != debian {
		bytes /= 16 // what differs between kernels is seen by then
	}
	a, b, _ := pair(t, k)
	for _, link := range []int{netLink, ethLink} {
		carry(t, a, b, right, link, bytes)
		carry(t, b, a, left, link, bytes)
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
			if s.Reader.Peer != "active" || s.Reader.Epochs != 1 || s.Stats.RxFrameErrors != 0 || s.Reader.ProtocolErrors != 0 {
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
	a, b, memory := pair(t, debian)
	a.do(agent.Task{Do: "reach", To: right.addr(right.v4, netLink)})
	b.powerOff()
	testnet.Eventually(t, "a peer that has powered off is inactive", func() bool { return a.state("net0").Reader.Peer == "inactive" })
	b = boot(t, guestConfig{name: "right-again", memory: memory, words: right.words(3)})
	for _, link := range []int{netLink, ethLink} {
		carry(t, a, b, right, link, streamed)
		carry(t, b, a, left, link, streamed)
	}
	if s := a.state("net0"); s.Reader.Peer != "active" || s.Reader.Epochs != 2 || s.Reader.ProtocolErrors != 0 {
		t.Errorf("the peer has come again: %+v", s.Reader)
	}
}

// TestGuestKilled kills one of two guests while it writes, and boots another
// one in its place. What the first one leaves is its memory, as it was: a
// header that says active, and perhaps half an element.
func TestGuestKilled(t *testing.T) {
	a, b, memory := pair(t, debian)
	const rounds = 3
	for round := range rounds {
		a.do(agent.Task{Do: "reach", To: right.addr(right.v4, netLink)})
		before := a.state("net0").Stats.RxPackets
		b.begin(agent.Task{Do: "flood", To: left.addr(left.v4, netLink), Time: time.Hour})
		testnet.Eventually(t, "the flood arrives", func() bool { return a.state("net0").Stats.RxPackets > before+100 })
		b.kill()
		halfWritten(t, memory, netLink, right)
		// The other links are not touched by it, nor is anything else.
		a.do(agent.Task{Do: "ping", To: left.addr(left.v4, netLink)})
		b = boot(t, guestConfig{name: fmt.Sprintf("right-%d", round+1), memory: memory, words: right.words(3)})
	}
	for _, link := range []int{netLink, ethLink} {
		carry(t, a, b, right, link, streamed)
	}
	for _, name := range []string{"net0", "eth0"} {
		if s := a.state(name); s.Reader.Peer != "active" || s.Reader.Epochs != rounds+1 || s.Stats.RxFrameErrors != 0 {
			t.Errorf("%s after %d guests that were killed: %+v, reader %+v", name, rounds, s.Stats, s.Reader)
		}
	}
}

// TestUnplugged pulls the memory out of a guest while packets go through it.
// There is no fault: with QEMU, what the guest reads then are zeros, and what
// it writes is lost. That stops its interfaces, and nothing else.
func TestUnplugged(t *testing.T) {
	a, b, _ := pair(t, debian)
	a.do(agent.Task{Do: "reach", To: right.addr(right.v4, netLink)})
	a.begin(agent.Task{Do: "flood", To: right.addr(right.v4, netLink), Time: time.Hour})
	b.begin(agent.Task{Do: "flood", To: left.addr(left.v4, netLink), Time: time.Hour})
	testnet.Eventually(t, "the flood arrives", func() bool { return a.state("net0").Stats.RxPackets > 100 })
	a.unplug()
	for _, name := range []string{"net0", "eth0"} {
		testnet.Eventually(t, name+" is stopped", func() bool {
			s := a.state(name)
			return s.Reader.Peer != "active" && strings.Contains(s.Reader.Error, "removed") && strings.Contains(s.Writer.Error, "removed")
		})
	}
	a.do(agent.Task{Do: "datagrams", To: "127.0.0.1"})
	b.do(agent.Task{Do: "ping", To: right.addr(right.v4, netLink)})
	a.powerOff()
}

// halfWritten makes sure that the out-channel of a side that was killed has an
// element of which only the beginning was written. The moment of the kill may
// have been between two elements; then it is put off a little.
func halfWritten(t *testing.T, memory string, link int, s side) {
	t.Helper()
	file, err := os.OpenFile(memory, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const wsc, wc, data, elementSize = 48, 56, 64, 1508
	begin := int64(2*link+s.out) << 20
	var header [data]byte
	if _, err := file.ReadAt(header[:], begin); err != nil {
		t.Fatal(err)
	}
	started, complete := binary.NativeEndian.Uint64(header[wsc:]), binary.NativeEndian.Uint64(header[wc:])
	if started != complete {
		return
	}
	t.Log("killed between two writes")
	elements := binary.NativeEndian.Uint64(header[32:])
	binary.NativeEndian.PutUint64(header[wsc:], started+1)
	if _, err := file.WriteAt(header[wsc:wc], begin+wsc); err != nil {
		t.Fatal(err)
	}
	half := bytes.Repeat([]byte{0xff}, elementSize/2)
	if _, err := file.WriteAt(half, begin+data+int64(started%elements)*elementSize); err != nil {
		t.Fatal(err)
	}
}
