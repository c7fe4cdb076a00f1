package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// newSolo starts a host whose net0 has no muennet at the other end: it reads
// the channel in and writes the channel out, is up and sends nothing by itself.
func newSolo(t *testing.T, flags string, params ...string) *host {
	t.Helper()
	h := newHost(t, makeChannels(t, "in", "out"))
	h.Quiet()
	h.start(append([]string{"name=net0", "in=in", "out=out", "flags=" + flags,
		"reader_protocol=12", "writer_protocol=12"}, params...)...)
	h.ip("link set net0 up")
	h.awaitShow("net0", "it is up", func(s api.Interface) bool { return s.Up })
	return h
}

func TestDownAndUpChangeTheEpoch(t *testing.T) {
	begin(t)
	h := newSolo(t, "net_hdr")
	region := mapChannel(t, h.channels, "out")
	seen := map[string]bool{"0x0": true}
	for range 5 {
		h.awaitShow("net0", "a new epoch", func(s api.Interface) bool { return s.Up && !seen[s.Writer.Epoch] })
		s := h.show("net0")
		header, err := shmstream.ReadHeader(region)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%#x", uint64(header.Epoch)); got != s.Writer.Epoch || !s.Writer.Enabled {
			t.Errorf("epoch %s in the channel, %+v in show", got, s.Writer)
		}
		seen[s.Writer.Epoch] = true
		h.ip("link set net0 down")
		h.awaitShow("net0", "epoch 0", func(s api.Interface) bool { return !s.Up && s.Writer.Epoch == "0x0" && !s.Writer.Enabled })
		if header, err = shmstream.ReadHeader(region); err != nil || header.Epoch != 0 {
			t.Errorf("epoch %#x in the channel of an interface that is down, error %v", header.Epoch, err)
		}
		h.ip("link set net0 up")
	}
}

// The peer ends and comes back a thousand times; what it sends after each start
// arrives, and so does what is sent to it in between.
func TestPeerRestartsUnderTraffic(t *testing.T) {
	begin(t)
	const restarts, burst = 1000, 5
	h := newSolo(t, "net_hdr")
	p := newForeign(t, h.channels, "in", element.NetHdr)
	socket := h.Packet(testnet.PacketConfig{Interface: "net0"})
	out := startOutgoing(t, h)
	for i := range restarts {
		p.start()
		for j := range burst {
			p.send(serial(element.NetHdr, uint64(i*burst+j), 200))
		}
		for j := range burst {
			got, err := socket.Recv(patience)
			if err != nil {
				t.Fatalf("epoch %d, packet %d is lost: %v", i, j, err)
			}
			if n, ok := serialOf(element.NetHdr, got); !ok || n != uint64(i*burst+j) {
				t.Fatalf("epoch %d, packet %d arrived as %x", i, j, got)
			}
		}
		if i%3 == 0 {
			p.w.Stop() // others just start anew, as after a crash
		}
	}
	out.stop(t)
	s := h.show("net0")
	if s.Reader.Epochs != restarts || s.Stats.RxPackets != restarts*burst || s.Reader.Lost+s.Reader.ProtocolErrors != 0 {
		t.Errorf("%d epochs, want %d; %+v, %+v", s.Reader.Epochs, restarts, s.Stats, s.Reader)
	}
}

// outgoing is traffic into the out-channel, read by a foreign program.
type outgoing struct {
	stopping chan struct{}
	done     chan error
}

func startOutgoing(t *testing.T, h *host) *outgoing {
	t.Helper()
	r, err := shmstream.NewReader(mapChannel(t, h.channels, "out"), shmstream.Expect{Protocol: foreignProtocol})
	if err != nil {
		t.Fatal(err)
	}
	r.SkipPending()
	socket := h.Packet(testnet.PacketConfig{Interface: "net0"})
	o := &outgoing{make(chan struct{}), make(chan error, 1)}
	go func() { o.done <- o.run(r, socket) }()
	return o
}

func (o *outgoing) run(r *shmstream.Reader, socket *testnet.PacketSocket) error {
	slot, packet := make([]byte, 4096), make([]byte, 4096)
	for number := uint64(0); ; number++ {
		select {
		case <-o.stopping:
			return nil
		default:
		}
		if err := socket.Send(serial(element.NetHdr, number, 500)); err != nil {
			return fmt.Errorf("send packet %d: %w", number, err)
		}
		var n int
		for result := shmstream.NoData; result != shmstream.Success; {
			select {
			case <-o.stopping:
				return nil
			default:
			}
			if n, result = r.Read(slot); result != shmstream.Success && result != shmstream.NoData {
				return fmt.Errorf("read packet %d: %v", number, result)
			}
		}
		p, fault := element.NetHdr.Decode(packet, slot[:n])
		if got, ok := serialOf(element.NetHdr, p.Data); fault != element.OK || !ok || got != number {
			return fmt.Errorf("packet %d came as %x, %v", number, p.Data, fault)
		}
	}
}

func (o *outgoing) stop(t *testing.T) {
	t.Helper()
	close(o.stopping)
	if err := <-o.done; err != nil {
		t.Error(err)
	}
}

// interfaces lists the names in a namespace, sorted.
func interfaces(t *testing.T, h *host) (names []string) {
	t.Helper()
	states, err := h.Link().List()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return names
}

func TestSecondWriterIsRefused(t *testing.T) {
	begin(t)
	dir := makeChannels(t, "shared", "other")
	first, second := newHost(t, dir), newHost(t, dir)
	first.start("name=net0", "out=shared", "writer_protocol=1")
	args := []string{"load", "name=net0", "out=shared", "writer_protocol=1"}
	want := fmt.Sprintf("pid %d", first.pid())
	for range 2 { // without a daemon, and with one
		r := second.muennet(args...)
		if r.code != 1 || !strings.Contains(r.stderr, want) || !strings.Contains(r.stderr, "shared") {
			t.Errorf("exit code %d, %q; want 1 and %s", r.code, r.stderr, want)
		}
		if left := second.aliases(); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
		second.load("name=net1", "out=other", "writer_protocol=1")
		if r := second.muennet(args...); r.code != 1 || !strings.Contains(r.stderr, want) {
			t.Errorf("exit code %d, %q; want 1 and %s", r.code, r.stderr, want)
		}
		second.must("unload")
	}
	// The same daemon knows whose channel it is. Once the first has gone it is
	// free.
	r := first.muennet("load", "name=net9", "out=shared", "writer_protocol=1")
	if r.code != 1 || !strings.Contains(r.stderr, "net0 is loaded already with name=net0, not net9") {
		t.Errorf("exit code %d, %q; want 1, and that net0 has the channel", r.code, r.stderr)
	}
	first.must("unload", "net0")
	second.load("name=net0", "out=shared", "writer_protocol=1")
}

// The administrator renames the interface and changes its MTU while a
// connection runs over it, which goes on; then moves it to another namespace.
func TestChangesUnderTraffic(t *testing.T) {
	begin(t)
	there := newHost(t, "") // before the pair: it must outlive their interfaces
	p := newPair(t, "net_hdr", "mtu=1400")
	p.up()
	client, server := connect(t, p.a, p.b, addrB)
	stop, progress, ended := make(chan struct{}), make(chan int), make(chan error, 1)
	go func() {
		_, err := stream(client, server, func(sent int) bool {
			select {
			case <-stop:
				return false
			case progress <- sent:
				return true
			}
		})
		ended <- err
	}()
	more := func() {
		t.Helper()
		for range 10 {
			select {
			case <-progress:
			case err := <-ended:
				t.Fatalf("the connection broke: %v", err)
			}
		}
	}
	more()
	name := "net0"
	for i, mtu := range []int{1300, 1500, 9000, 600, 1400} {
		next := fmt.Sprintf("other%d", i)
		p.a.ip(fmt.Sprintf("link set %s name %s", name, next))
		name = next
		more()
		p.a.ip(fmt.Sprintf("link set %s mtu %d", name, mtu))
		p.a.awaitShow(name, "elements for the new MTU", func(s api.Interface) bool {
			return s.MTU == mtu && s.Writer.ElementSize == mtu+8 && s.Writer.Enabled
		})
		p.b.ip(fmt.Sprintf("link set net0 mtu %d", mtu))
		p.b.awaitShow("net0", "the peer's larger elements", func(s api.Interface) bool {
			return s.MTU == mtu && s.Reader.ElementSize == mtu+8
		})
		more()
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}

	// Moving takes addresses, and with them connections, away; packets go on.
	index := p.a.show(name).Index
	flood := listenUDP(t, p.b, addrB)
	stop = make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = flood.WriteTo(content(1, 1000), server.RemoteAddr()) // it need not arrive
			}
		}
	}()
	for _, move := range []struct{ from, to *host }{{p.a, there}, {there, p.a}, {p.a, there}} {
		move.from.ip("link set " + name + " netns " + move.to.Path())
		move.to.Up(name, addrA+"/24")
		p.a.awaitShow(name, "the other namespace", func(s api.Interface) bool { return s.NetNS == move.to.ID() && s.Up })
		newPinger(t, move.to, addrA, addrB).sweep(0, 20)
	}
	close(stop)
	<-ended
	if got := p.a.show(name).Index; got != index {
		t.Errorf("the index is %d, was %d", got, index)
	}
	client, server = connect(t, there, p.b, addrB)
	if _, err := stream(client, server, func(sent int) bool { return sent < 50 }); err != nil {
		t.Error(err)
	}
}

func TestDeletedInterface(t *testing.T) {
	begin(t)
	dir := makeChannels(t, "a", "b", "c", "d")
	h := newHost(t, dir)
	load := []string{"name=net0", "in=a", "out=b", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12"}
	h.start(load...)
	h.load("name=net1", "in=c", "out=d", "flags=eth_dev", "reader_protocol=12", "writer_protocol=12")
	for range 5 {
		h.ip("link set net0 up")
		h.ip("link del net0")
		if r := h.muennet("unload", "net0"); r.code != 1 || !strings.Contains(r.stderr, "net0") {
			t.Errorf("unload: exit code %d, %q", r.code, r.stderr)
		}
		h.load(load...)
		h.ip("link set net0 up")
		h.ip("link del net0")
		h.load(load...)
	}
	if all := h.showAll(); len(all) != 2 || all[0].Name != "net1" {
		t.Errorf("%+v", all)
	}
}

func TestCarrierFollowsThePeer(t *testing.T) {
	begin(t)
	h := newSolo(t, "net_hdr", "carrier=peer")
	p := newForeign(t, h.channels, "in", element.NetHdr)
	carrier := func(want bool) {
		t.Helper()
		testnet.Eventually(t, fmt.Sprintf("carrier %v", want), func() bool {
			s, err := h.Link().ByName("net0")
			if err != nil {
				t.Fatal(err)
			}
			return s.Carrier == want
		})
	}
	carrier(false)
	for range 5 {
		p.start()
		carrier(true)
		p.w.Stop()
		carrier(false)
	}
	p.start()
	carrier(true)
	h.ip("link set net0 down")
	h.ip("link set net0 up")
	carrier(true)
	// A crash takes the carrier away, its successor finds the peer again.
	h.kill()
	h.start("name=net0", "in=in", "out=out", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12", "carrier=peer")
	carrier(true)
	p.store(shmstream.ProtocolOffset, 0xc) // incompatible is as good as absent
	p.store(shmstream.EpochOffset, 12345)
	carrier(false)
}

func TestCarrierOfTheAdministrator(t *testing.T) {
	begin(t)
	h := newSolo(t, "eth_dev")
	for range 3 {
		testnet.Eventually(t, "carrier without a peer", func() bool {
			s, err := h.Link().ByName("net0")
			return err == nil && s.Carrier
		})
		h.ip("link set net0 down")
		h.ip("link set net0 up")
	}
}

// show counts exactly what was sent, in the kernel module's units.
func TestStatistics(t *testing.T) {
	begin(t)
	h := newSolo(t, "net_hdr")
	p := newForeign(t, h.channels, "in", element.NetHdr)
	socket := h.Packet(testnet.PacketConfig{Interface: "net0"})
	p.start()
	var want api.Stats
	for i, n := range []int{28, 29, 100, 1499, 1500} {
		packet := serial(element.NetHdr, uint64(i), n)
		p.send(packet)
		if _, err := socket.Recv(patience); err != nil {
			t.Fatal(err)
		}
		want.RxPackets++
		want.RxBytes += uint64(n)
		for range 2 {
			if err := socket.Send(packet); err != nil {
				t.Fatal(err)
			}
			want.TxPackets++
			want.TxBytes += uint64(n) + 8 // with the header
		}
	}
	// What is no IP packet, or says it is longer than its element, is an error.
	p.w.Write(make([]byte, 100))
	long := make([]byte, 108)
	copy(long[8:], serial(element.NetHdr, 1, 100))
	long[6] = 4
	long[8+2], long[8+3] = 0xff, 0xff
	p.w.Write(long)
	want.RxErrors, want.RxFrameErrors = 2, 2
	// What is no IP packet is not sent, but counted.
	if err := socket.Send([]byte{0x10, 1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	want.TxDropped = 1
	h.awaitShow("net0", "counters that match", func(s api.Interface) bool { return s.Stats == want })
	s := h.show("net0")
	var drops uint64
	for _, n := range s.Drops {
		drops += n
	}
	if drops != 3 || s.Writer.Written != want.TxPackets {
		t.Errorf("drops %v, %d written", s.Drops, s.Writer.Written)
	}
	// The kernel's own counters agree.
	if text := h.ip("-s link show net0"); !strings.Contains(text, fmt.Sprintf(" %d ", want.RxPackets)) {
		t.Errorf("ip -s link: %s", text)
	}
	// Down and up is no new interface.
	h.ip("link set net0 down")
	h.ip("link set net0 up")
	if s := h.show("net0"); s.Stats != want {
		t.Errorf("after down and up %+v, want %+v", s.Stats, want)
	}
}
