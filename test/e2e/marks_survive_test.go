package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/testnet"
)

// place is where an interface is and what it is called there.
type place struct {
	ns            *testnet.NS
	name          string
	local, remote string
	mark          uint32 // that of its packets
}

// up gives an interface that has been moved its address and brings it up.
func (p *place) up() {
	p.ns.MustRun("ip", "addr", "add", p.local+"/24", "dev", p.name)
	p.ns.MustRun("ip", "link", "set", p.name, "up")
}

// move takes an interface to another namespace, under another name.
func (p *place) move(to *testnet.NS, name string) {
	p.ns.MustRun("ip", "link", "set", p.name, "netns", to.Path(), "name", name)
	p.ns, p.name = to, name
	p.up()
}

// marksWork checks both directions of each interface, with and without a mark.
func (l *lone) marksWork(after string, places ...*place) {
	l.t.Helper()
	for _, p := range places {
		s := newMarkSocket(l.t, p.ns, p.name, p.remote)
		for _, mark := range []uint32{p.mark, 0, 0xffffffff} {
			payload := fmt.Sprintf("mark %#x after %s", mark, after)
			s.send(mark, []byte(payload))
			if e := l.out.next(); e.mark != mark || string(payloadOf(e.data)) != payload {
				l.t.Fatalf("after %s %s sent mark %#x as %#x: %q", after, p.name, mark, e.mark, payloadOf(e.data))
			}
			if mark == p.mark || p.name == l.name {
				l.in.send(element.NetHdr, udp(p.remote, p.local, []byte(payload)), mark)
				s.expect(mark, payload)
			}
		}
		s.close()
	}
	if s := l.show(l.name); s.Marking.Outgoing != "active" || !strings.HasPrefix(s.Marking.Incoming, "active") {
		l.t.Errorf("after %s: %+v", after, s.Marking)
	}
}

// inhabited makes a quiet namespace that can be found: one with a process in
// it.
func inhabited(t *testing.T) *testnet.NS {
	t.Helper()
	ns := testnet.New(t)
	ns.Quiet()
	if err := ns.Command(testnet.Need(t, "sleep"), "1000").Start(); err != nil {
		t.Fatal(err)
	}
	return ns
}

func TestMarksSurvive(t *testing.T) {
	begin(t)
	l := newLone(t)
	l.Up("net0", "10.0.0.1/24")
	l.child("child0", "10.1.0.1/24", 7, 100)
	parent := &place{l.NS, "net0", "10.0.0.1", "10.0.0.2", 5}
	child := &place{l.NS, "child0", "10.1.0.1", "10.1.0.2", 7}
	l.marksWork("the start", parent, child)

	bothUp := func() {
		t.Helper()
		l.awaitShow(l.name, "both are up", func(s api.Interface) bool {
			return s.Up && len(s.Children) == 1 && s.Children[0].Up && s.Children[0].Name == child.name
		})
		l.connected()
	}
	for _, p := range []*place{parent, child} {
		l.ip("link set " + p.name + " down")
	}
	l.awaitShow("net0", "both are down", func(s api.Interface) bool { return !s.Up && !s.Children[0].Up })
	for _, p := range []*place{parent, child} {
		renamed := "x" + p.name
		l.ip("link set " + p.name + " name " + renamed)
		l.ip("link set " + renamed + " up")
		p.name = renamed
	}
	l.name = parent.name
	testnet.Eventually(t, "the new name is known", func() bool { return l.muennet("show", l.name).code == 0 })
	bothUp()
	l.marksWork("down, rename and up", parent, child)

	l.crash()
	bothUp()
	l.marksWork("a crash", parent, child)

	there := inhabited(t)
	child.move(there, "kid")
	bothUp()
	l.marksWork("a move of the child", parent, child)
	l.crash()
	bothUp()
	l.marksWork("a crash after that", parent, child)

	parent.move(inhabited(t), "net7")
	l.name = "net7"
	testnet.Eventually(t, "the new name is known", func() bool { return l.muennet("show", l.name).code == 0 })
	bothUp()
	l.marksWork("a move of the parent", parent, child)
	parent.ns.MustRun("ip", "link", "set", "net7", "mtu", "9000")
	l.awaitShow(l.name, "larger elements", func(s api.Interface) bool { return s.Writer.ElementSize == 9008 })
	l.marksWork("another MTU", parent, child)
	s := newMarkSocket(t, parent.ns, "net7", parent.remote)
	s.send(5, content(1, 9000-overhead4))
	if e := l.out.next(); e.mark != 5 || len(e.data) != 9000 {
		t.Errorf("a packet of 9000 bytes came as %d bytes with mark %d", len(e.data), e.mark)
	}
	s.close()
	for range 3 {
		l.crash()
		bothUp()
		l.marksWork("crashes after all that", parent, child)
	}
	if held := l.show(l.name).Children[0].Marks; len(held) != 2 || held[0] != 7 || held[1] != 100 {
		t.Errorf("the child holds %v", held)
	}
}
