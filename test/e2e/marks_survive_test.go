package e2e

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
	if s := l.show(l.name); s.Marks.Outgoing != "active" || !strings.HasPrefix(s.Marks.Incoming, "active") {
		l.t.Errorf("after %s: %+v", after, s.Marks)
	}
}

// inhabited makes a quiet namespace that can be found: one with a process in it.
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
	l.up("net0", "10.0.0.1/24")
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
	eventually(t, "the new name is known", func() bool { return l.muennet("show", l.name).code == 0 })
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
	eventually(t, "the new name is known", func() bool { return l.muennet("show", l.name).code == 0 })
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
	if held := l.show(l.name).Children[0].Held; len(held) != 2 || held[0] != 7 || held[1] != 100 {
		t.Errorf("the child holds %v", held)
	}
}

// setRPS has all processors named by mask receive what arrives on a device.
func setRPS(l *lone, mask string) {
	l.t.Helper()
	l.MustRun("unshare", "--mount", "sh", "-e", "-c",
		"mount -t sysfs sysfs /sys && for f in /sys/class/net/net0/queues/rx-*/rps_cpus; do echo "+mask+" > $f; done")
}

// While RPS puts packets aside none gets a mark, rather than another one's.
func TestMarksWithRPS(t *testing.T) {
	begin(t)
	l := newLone(t)
	l.up("net0", "10.0.0.1/24")
	socket := newMarkSocket(t, l.NS, "net0", "10.0.0.2")
	var marked, wrong, received atomic.Int64
	ended := make(chan error, 1)
	go func() {
		for {
			mark, payload, err := socket.recv()
			if err != nil || len(payload) != 4 {
				ended <- err // nil: the empty one at the end
				return
			}
			want := binary.BigEndian.Uint32(payload)
			switch {
			case mark == want:
				if mark != 0 {
					marked.Add(1)
				}
			case mark != 0:
				wrong.Add(1)
			}
			received.Add(1)
		}
	}()
	packets := make([][]byte, 256)
	for i := range packets {
		packets[i] = udp("10.0.0.2", "10.0.0.1", binary.BigEndian.AppendUint32(nil, uint32(i%3)))
		// Other flows go to other processors.
		binary.BigEndian.PutUint16(packets[i][20:], uint16(1000+i*7))
		packets[i][20+6], packets[i][20+7] = 0, 0 // no checksum
	}
	number := 0
	send := func(n int) {
		for range n {
			l.in.Reserve(1)
			used, _ := element.NetHdr.Encode(l.in.Slot(0), packets[number%256], uint32(number%256%3))
			l.in.Fill(0, used)
			l.in.Publish()
			number++
		}
		l.in.ring()
		time.Sleep(500 * time.Microsecond)
	}
	incoming := func() string { return l.show("net0").Marks.Incoming }
	traffic := func(what string, until func() bool) {
		t.Helper()
		eventually(t, what, func() bool {
			if len(ended) > 0 {
				t.Fatalf("receiving: %v", <-ended)
			}
			for range 20 {
				send(64)
			}
			return until()
		})
	}
	traffic("marked packets", func() bool { return marked.Load() > 1000 })
	for range 2 {
		setRPS(l, fmt.Sprintf("%x", 1<<min(runtime.NumCPU(), 31)-1))
		traffic("marks are suspended", func() bool { return strings.HasPrefix(incoming(), "suspended") })
		from := received.Load()
		begun := time.Now() // longer than it takes to find out that it is calm
		traffic("packets with RPS", func() bool { return received.Load() > from+20_000 && time.Since(begun) > 3*time.Second })
		setRPS(l, "0")
		traffic("marks are set again", func() bool { return strings.HasPrefix(incoming(), "active") })
		before := marked.Load()
		traffic("marked packets", func() bool { return marked.Load() > before+1000 })
	}
	l.in.send(element.NetHdr, udp("10.0.0.2", "10.0.0.1", nil), 0)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d of %d packets had another one's mark", n, received.Load())
	}
	if s := l.show("net0"); s.Marks.Unmarked == 0 {
		t.Error("nothing is counted as unmarked")
	}
}
