package e2e

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/testnet"
)

// A container ends, with an interface of ours and a child in it: its network
// namespace goes, and all that is in it, and the channels are free.
func TestContainerEnds(t *testing.T) {
	begin(t)
	h := newHost(t, makeChannels(t, "a", "b"))
	load := []string{"name=net0", "in=a", "out=b", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12"}
	h.start(load...)
	for range 2 {
		fd, err := link.NewNetNS()
		if err != nil {
			t.Fatal(err)
		}
		h.ip("link add pod0 type veth peer name pod1")
		for _, name := range []string{"net0", "pod1"} {
			if err := h.Link().MoveToNetNS(h.Index(name), fd); err != nil {
				t.Fatal(err)
			}
		}
		testnet.Eventually(t, "net0 is followed", func() bool { return h.show("net0").NetNS == link.NSID(fd) })
		h.must("cfg", "add_child", "net0", "child0")
		h.must("cfg", "add_mark", "child0", "7")
		unix.Close(fd)
		testnet.Eventually(t, "the other end of the veth goes", func() bool { return len(h.Names()) == 0 })
		testnet.Eventually(t, "net0 goes", func() bool { return len(h.showAll()) == 0 })
		h.load(load...)
	}
}
