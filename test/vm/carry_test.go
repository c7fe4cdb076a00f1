package vm

import (
	"maps"
	"testing"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/test/vm/agent"
)

// end is an end of the links of a shared memory: a guest, or the host.
type end interface {
	do(agent.Task) agent.Result
	state(name string) muennet.Status
}

// The links by number.
const (
	netLink = 0 // net0
	ethLink = 1 // eth0
)

// streamed is how much TCP goes there and comes back where nothing else is
// said, bytes.
const streamed = 16 << 20

// carry has a link carry all kinds of traffic from one end to the other, a
// guest, whose side is to, and back: of TCP so many bytes.
func carry(t *testing.T, from, guest end, to side, link int, bytes int64) {
	t.Helper()
	v4, v6 := to.addr(to.v4, link), to.addr(to.v6, link)
	from.do(agent.Task{Do: "reach", To: v4})
	for _, addr := range []string{v4, v6} {
		// An empty one, a usual one, the longest packet, one in fragments.
		for _, size := range []int{0, 56, 1452, 5000} {
			from.do(agent.Task{Do: "ping", To: addr, Size: size, Count: 5})
		}
		from.do(agent.Task{Do: "datagrams", To: addr, Size: 500, Count: 20})
	}
	from.do(agent.Task{Do: "stream", To: v4, Bytes: bytes})
	from.do(agent.Task{Do: "stream", To: v6, Bytes: 1 << 20})
}

// carryMarks sends packets of several marks through net0, from one end to the
// other, whose side is to, as far as the kernels of both can.
func carryMarks(t *testing.T, from, receiver end, to side) {
	t.Helper()
	out, in := from.state("net0").Marking, receiver.state("net0").Marking
	if out == nil || in == nil || out.Outgoing != "active" || in.Incoming != "active (clsact)" && in.Incoming != "active (tcx)" {
		t.Errorf("marks are not carried: sender %+v, receiver %+v", out, in)
		return
	}
	const each = 3
	marks := []uint32{7, 0, 0x12345678, 7, 0xffffffff}
	want := make(map[uint32]int)
	receiver.do(agent.Task{Do: "listen"})
	for _, mark := range marks {
		from.do(agent.Task{Do: "send", To: to.addr(to.v4, netLink), Mark: mark, Count: each})
		want[mark] += each
	}
	// Packets of different marks may overtake each other.
	got := make(map[uint32]int)
	for _, mark := range receiver.do(agent.Task{Do: "marks", Count: each * len(marks)}).Marks {
		got[mark]++
	}
	if !maps.Equal(got, want) {
		t.Errorf("packets by mark: %v are sent, %v arrive", want, got)
	}
}
