package vm

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/test/vm/agent"
)

// host is an end of the links in a network namespace of this machine, over the
// file that is a guest's memory.
type host struct {
	t   *testing.T
	ns  *testnet.NS
	net *muennet.Net
}

// openHost opens the first interfaces of the left side on the memory.
func openHost(t *testing.T, memory string, count int) *host {
	t.Helper()
	h := &host{t: t, ns: testnet.New(t)}
	load, err := muennet.ParseLoad(left.parameters(memory, count)...)
	if err != nil {
		t.Fatal(err)
	}
	addresses := strings.Split(strings.TrimPrefix(left.addresses(), "address="), ",")
	if h.net, err = agent.Open(h.ns.Namespace, load, addresses); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.net.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// do does a task in the host's namespace.
func (h *host) do(task agent.Task) (r agent.Result) {
	h.t.Helper()
	h.ns.Do(func() {
		h.t.Helper()
		var err error
		if r, err = agent.Do(task); err != nil {
			h.t.Fatalf("host: %v", err)
		}
	})
	return r
}

// state returns that of an interface.
func (h *host) state(name string) muennet.Status {
	h.t.Helper()
	for _, s := range h.net.Status() {
		if s.Name == name {
			return s
		}
	}
	h.t.Fatalf("host has no %s", name)
	return muennet.Status{}
}

// TestHostAndGuest joins the host and a guest.
func TestHostAndGuest(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	memory := sharedMemory(t)
	g := boot(t, guestConfig{name: "guest", memory: memory, words: right.words(2)})
	h := openHost(t, memory, 2)
	for _, link := range []int{netLink, ethLink} {
		carry(t, h, g, right, link, streamed)
		// The host has no echo service, but its kernel answers.
		for _, addr := range []string{left.addr(left.v4, link), left.addr(left.v6, link)} {
			g.do(agent.Task{Do: "ping", To: addr, Size: 1000, Count: 5})
		}
	}
	carryMarks(t, h, g, right)
	carryMarks(t, g, h, left)

	to := right.addr(right.v4, netLink)
	trip := h.do(agent.Task{Do: "ping", To: to, Size: 56, Count: 500})
	figures.add("host and emulated guest, ivshmem, round trip of a ping: median %v, least %v", trip.Median, trip.Least)
	const much = 64 << 20
	there := h.do(agent.Task{Do: "stream", To: to, Bytes: much})
	figures.add("host and emulated guest, ivshmem, TCP there and back: %.0f Mbit/s each way", megabits(much, there.Took))
	// What the guest makes of TCP without us, for comparison.
	loopback := g.do(agent.Task{Do: "stream", To: "127.0.0.1", Bytes: much})
	figures.add("the same within the guest, its loopback: %.0f Mbit/s each way", megabits(much, loopback.Took))
	ends := g.state("net0")
	figures.add("memory of the device as the guest maps it: in %s, out %s", ends.Reader.Mapping, ends.Writer.Mapping)
	g.powerOff()
	testnet.Eventually(t, "the guest's writers are inactive", func() bool {
		return h.state("net0").Reader.Peer == "inactive" && h.state("eth0").Reader.Peer == "inactive"
	})
}

func megabits(bytes int, took time.Duration) float64 {
	return float64(bytes) * 8 / took.Seconds() / 1e6
}

// TestIdleGuest is about what two interfaces cost a guest of one processor that
// has nothing to do: their peers are there, give no wake-ups, and send nothing.
func TestIdleGuest(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	memory := sharedMemory(t)
	g := boot(t, guestConfig{name: "guest", memory: memory, words: right.words(2)})
	h := openHost(t, memory, 2)
	h.do(agent.Task{Do: "reach", To: right.addr(right.v4, netLink)})
	h.do(agent.Task{Do: "reach", To: right.addr(right.v4, ethLink)})
	// What the kernels do of themselves when an interface comes up is not idle.
	time.Sleep(2 * time.Second)
	const over = 5 * time.Second
	for _, e := range []struct {
		who string
		end
		pid int
	}{{"emulated guest of one processor", g, 1}, {"the other end, on the host", h, os.Getpid()}} {
		idle := e.do(agent.Task{Do: "cpu", Count: e.pid, Time: over})
		least := e.do(agent.Task{Do: "doze", Time: over})
		figures.add("%s, two idle polled interfaces: %.2f %% of a processor, %d times per second; a thread that only sleeps for a millisecond at a time: %.2f %%, %d",
			e.who, idle.Percent, idle.Count/5, least.Percent, least.Count/5)
	}
	for _, name := range []string{"net0", "eth0"} {
		if s := g.state(name); s.Reader.Peer != "active" || s.Reader.Doorbell != "polling" {
			t.Errorf("%s was not polled: %+v", name, s.Reader)
		}
	}
}
