package e2e

import (
	"encoding/json"
	"testing"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/testnet"
)

// operstate is what ip-link(8) says of an interface.
func operstate(t *testing.T, ns *testnet.NS, name string) string {
	t.Helper()
	var links []struct {
		Operstate string `json:"operstate"`
	}
	out := ns.MustRun("ip", "-json", "link", "show", "dev", name)
	if err := json.Unmarshal([]byte(out), &links); err != nil || len(links) != 1 {
		t.Fatalf("ip link: %v: %s", err, out)
	}
	return links[0].Operstate
}

// The operational state follows up and down at once, as with the kernel module,
// whatever the peers are; also after a crash and a move.
func TestOperstateFollowsUp(t *testing.T) {
	begin(t)
	for _, flags := range []string{"", "net_hdr", "eth_dev"} {
		t.Run("flags="+flags, func(t *testing.T) {
			h := newHost(t, makeChannels(t, "in", "out"))
			load := []string{"name=net0", "in=in", "out=out", "flags=" + flags, "reader_protocol=12", "writer_protocol=12"}
			h.start(load...)
			names := []string{"net0"}
			if flags == "net_hdr" {
				h.must("cfg", "add_child", "net0", "child0")
				names = append(names, "child0")
			}
			want := func(ns *testnet.NS, name, want string) {
				t.Helper()
				if got := operstate(t, ns, name); got != want {
					t.Errorf("%s: operstate %s, want %s", name, got, want)
				}
			}
			for _, name := range names {
				want(h.NS, name, "DOWN")
				h.ip("link set dev " + name + " up")
				want(h.NS, name, "UP")
				h.ip("link set dev " + name + " down")
				want(h.NS, name, "DOWN")
				h.ip("link set dev " + name + " up")
				want(h.NS, name, "UP")
			}
			h.kill()
			h.start(load...)
			for _, name := range names {
				testnet.Eventually(t, "it is up after the crash", func() bool { return operstate(t, h.NS, name) == "UP" })
			}
			there := testnet.New(t)
			for _, name := range names {
				if err := h.Link().MoveToNetNS(h.Index(name), there.FD()); err != nil {
					t.Fatal(err)
				}
				there.MustRun("ip", "link", "set", "dev", name, "up")
				want(there, name, "UP")
			}
		})
	}
}

// With carrier=peer it is that of the peer, until a load takes the interface
// over with carrier=admin: then children, too, have a carrier for good.
func TestOperstateFollowsPeer(t *testing.T) {
	begin(t)
	h := newHost(t, makeChannels(t, "in", "out"))
	load := []string{"name=net0", "in=in", "out=out", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12"}
	h.start(append(load, "carrier=peer")...)
	h.must("cfg", "add_child", "net0", "child0")
	names := []string{"net0", "child0"}
	await := func(want string) {
		t.Helper()
		for _, name := range names {
			testnet.Eventually(t, name+" is "+want, func() bool { return operstate(t, h.NS, name) == want })
		}
	}
	for _, name := range names {
		h.ip("link set dev " + name + " up")
	}
	await("DOWN")
	p := newPeer(t, h.channels, "in")
	p.start(0x12, element.NetHdr.Size(1500))
	await("UP")
	p.Stop()
	p.ring()
	await("DOWN")
	h.kill()
	h.start(load...)
	await("UP")
}
