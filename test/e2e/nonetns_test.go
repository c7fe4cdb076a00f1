package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/testnet/confine"
)

// On a kernel without CONFIG_NET_NS there is one network namespace, which
// cannot be opened. All else is as elsewhere.
func TestKernelWithoutNetNS(t *testing.T) {
	begin(t)
	spec := confine.NoNetNS()
	h := testLifeConfined(t, &spec)
	if out := h.must("show", "net0"); !strings.Contains(out, "netns:                   none (kernel without CONFIG_NET_NS)") {
		t.Errorf("show says\n%s", out)
	}
	if s := h.show("net0"); s.NetNS != 0 || s.Children[0].NetNS != 0 {
		t.Errorf("namespaces %d and %d, want 0", s.NetNS, s.Children[0].NetNS)
	}
	h.must("unload")
	h.daemon = nil // it has ended
	h.load("name=net0", "in=ba", "out=ab", "reader_protocol=12", "writer_protocol=12")
	h.must("unload")
	if left := h.Names(); len(left) != 0 {
		t.Errorf("%q are left", left)
	}
}

// A program that is started before /proc is mounted, such as the first process
// of the system, works with what the system calls tell.
func TestWithoutProc(t *testing.T) {
	begin(t)
	h := testLifeConfined(t, &confine.Spec{Proc: confine.ProcNotMounted})
	if s := h.show("net0"); s.NetNS != h.ID() {
		t.Errorf("namespace %d, want %d", s.NetNS, h.ID())
	}
	h.must("unload")
}

// testLifeConfined loads an interface with a child, changes what an
// administrator changes, has the daemon crash and come back, with traffic after
// each step.
func testLifeConfined(t *testing.T, spec *confine.Spec) *host {
	t.Helper()
	dir := makeChannels(t, "ab", "ba")
	p := &pair{newHost(t, dir), newHost(t, dir)}
	p.a.confine(spec)
	load := []string{"name=net0", "in=ba", "out=ab", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12"}
	p.a.start(load...)
	p.b.start("name=net0", "in=ab", "out=ba", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12")
	p.up()
	ping := newPinger(t, p.a, addrA, addrB)
	ping.sweep(0, 10)

	p.a.must("cfg", "add_child", "net0", "child0")
	p.a.must("cfg", "add_mark", "child0", "7")
	p.a.Up("child0", "10.1.0.1/24")
	p.a.awaitShow("net0", "the child is up", func(s api.Interface) bool { return s.Children[0].Up })
	if r := p.a.muennet("cfg", "add_child", "net0", "child0"); r.code == 0 {
		t.Error("a child was made twice")
	}

	p.a.ip("link set net0 down")
	p.a.ip("link set net0 name other0 mtu 1400 up")
	p.a.awaitShow("other0", "the changes are followed", func(s api.Interface) bool { return s.Up && s.MTU == 1400 })
	ping.sweep(0, 10)
	p.a.ip("link set other0 down")
	p.a.ip("link set other0 name net0 mtu 1500 up")
	p.a.awaitShow("net0", "the changes are followed", func(s api.Interface) bool { return s.Up && s.MTU == 1500 })

	p.a.kill()
	p.a.start(load...)
	s := p.a.show("net0")
	if !s.Adopted || len(s.Children) != 1 || !s.Children[0].Adopted || !slices.Equal(s.Children[0].Marks, []uint32{7}) {
		t.Errorf("after a crash: %+v", s)
	}
	p.connected()
	ping.sweep(0, 10)
	p.a.must("cfg", "del_child", "child0")
	p.a.must("cfg", "add_child", "net0", "child1")
	return p.a
}
