package vm

import (
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/test/vm/agent"
)

// The networks of the unikernels of a NetHSM, by their channels.
var hsmNetworks = map[string]string{"a": "169.254.169.", "b": "169.254.200."}

// hsm is a guest like the Linux of a NetHSM: two unikernels, one virtual
// processor, the channels there before the first process, everything found by
// `auto`. There is no Muen to boot here: the channels are files of the guest,
// with the names and modes that muenfs gives them, and what is at their other
// ends runs in the same guest.
func hsm(k kernel) guestConfig {
	const (
		readable = 0o400
		writable = 0o600
		size     = 1 << 20
	)
	return guestConfig{
		name: "nethsm", kernel: k,
		words: []string{"muennet.auto", "muennet.channels=/channels", "address=net0=169.254.169.2/24,net1=169.254.200.2/24"},
		files: []file{
			{"channels/a|in", writable, make([]byte, size)}, {"channels/a|out", readable, make([]byte, size)},
			{"channels/b|in", writable, make([]byte, size)}, {"channels/b|out", readable, make([]byte, size)},
			{"channels/debuglog", writable, make([]byte, 4096)}, // not the only channels, but the only pairs
		},
	}
}

// openToRunning is how long an interface took from Open on, as the console
// says.
func (g *guest) openToRunning(name string) time.Duration {
	g.t.Helper()
	took, err := time.ParseDuration(g.printed(`msg="interface is running" name=` + name + ` after=(\S+)`))
	if err != nil {
		g.t.Fatal(err)
	}
	return took
}

func TestNetHSM(t *testing.T) {
	for _, k := range []kernel{debian, minimal} {
		t.Run(k.name, func(t *testing.T) {
			testnet.CheckLeaks(t)
			began := time.Now()
			g := boot(t, hsm(k))
			for _, name := range []string{"net0", "net1"} {
				took := g.openToRunning(name)
				// What init itself gives them before it says that they do not run.
				if took > 20*time.Second {
					t.Errorf("%s runs after %v: want 20 s at most", name, took)
				}
				figures.add("from Open to running, in an emulated guest of one processor, kernel %s, %s: %v", k.name, name, took)
			}
			figures.add("from the start of QEMU to both running, kernel %s: %v", k.name, time.Since(began).Round(100*time.Millisecond))
			list := strings.Join(g.do(agent.Task{Do: "interfaces"}).Text, "\n")
			for _, want := range []string{"net0 up|broadcast|multicast|running 169.254.169.2/24", "net1 up|broadcast|multicast|running 169.254.200.2/24"} {
				if !strings.Contains(list, want) {
					t.Errorf("no %q among the interfaces:\n%s", want, list)
				}
			}
			hsmUnikernels(g)
			if k != minimal { // which has no network namespaces
				hsmPeers(g)
			}
			for _, name := range []string{"net0", "net1"} {
				s := g.state(name)
				if s.Mode != "eth_dev" || s.Writer.ElementSize != 1516 || s.Stats.RxPackets == 0 || s.Stats.RxFrameErrors != 0 {
					t.Errorf("state of %s: %+v, writer %+v, reader %+v", name, s, s.Writer, s.Reader)
				}
			}
			g.powerOff()
		})
	}
}

// hsmUnikernels has simulated unikernels at the other ends, which look at their
// channels, believe what is in them and have no TCP. They answer ARP, ICMP and
// UDP.
func hsmUnikernels(g *guest) {
	g.t.Helper()
	for name, network := range hsmNetworks {
		g.do(agent.Task{Do: "unikernel", Channels: "/channels", Interface: name, To: network + "1"})
		g.do(agent.Task{Do: "reach", To: network + "1"})
		for _, size := range []int{0, 56, 1472} {
			g.do(agent.Task{Do: "ping", To: network + "1", Size: size, Count: 20})
		}
		g.do(agent.Task{Do: "datagrams", To: network + "1", Size: 1000, Count: 100})
	}
	g.do(agent.Task{Do: "endUnikernels"})
}

// hsmPeers has muennet itself at the other ends, in a network namespace of its
// own, for TCP.
func hsmPeers(g *guest) {
	g.t.Helper()
	g.do(agent.Task{
		Do: "peer", Channels: "/channels",
		Parameters: []string{
			"name=unikernel0,unikernel1", "in=a|in,b|in", "out=a|out,b|out", "flags=eth_dev,eth_dev",
			"reader_protocol=7ade5c549b08e814,7ade5c549b08e814", "writer_protocol=7ade5c549b08e814,7ade5c549b08e814",
		},
		Addresses: []string{"unikernel0=" + hsmNetworks["a"] + "3/24", "unikernel1=" + hsmNetworks["b"] + "3/24"},
	})
	for _, network := range hsmNetworks {
		g.do(agent.Task{Do: "reach", To: network + "3"})
		for _, size := range []int{0, 56, 1472, 4000} {
			g.do(agent.Task{Do: "ping", To: network + "3", Size: size, Count: 5})
			g.do(agent.Task{Do: "ping", To: network + "2", Size: size, Count: 5, Inside: true})
		}
		g.do(agent.Task{Do: "stream", To: network + "2", Bytes: streamed, Inside: true})
	}
	for _, name := range []string{"net0", "net1"} {
		if s := g.state(name); s.Reader.Peer != "active" {
			g.t.Errorf("the peer of %s is there: %+v", name, s.Reader)
		}
	}
}

// TestOpenToRunning counts instructions, each of which takes 4 ns of the
// guest's time: a slow processor, and the same one on every machine. The kernel
// is the minimal one, which boots in time.
func TestOpenToRunning(t *testing.T) {
	testnet.CheckLeaks(t)
	cfg := hsm(minimal)
	cfg.instruction = 2
	g := boot(t, cfg)
	for _, name := range []string{"net0", "net1"} {
		took := g.openToRunning(name)
		if took > 100*time.Millisecond {
			t.Errorf("%s runs after %v: want 100 ms at most", name, took)
		}
		figures.add("from Open to running, at 250 million instructions per second, kernel minimal, %s: %v", name, took)
	}
}
