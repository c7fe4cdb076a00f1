package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/netlab"
	"golang.org/x/sys/unix"
)

// Every element is a complete packet with good checksums, no longer than the
// MTU, as a peer without any offload expects it.
func TestOffloadElements(t *testing.T) {
	for _, mode := range modes {
		for _, mtu := range []int{1500, 9000} {
			t.Run(fmt.Sprintf("%s, MTU %d", mode, mtu), func(t *testing.T) {
				begin(t)
				p := newPair(t, mode, fmt.Sprintf("mtu=%d", mtu))
				p.up()
				checkers := []*checker{startChecker(t, p.a, "ab", mode, nil), startChecker(t, p.a, "ba", mode, nil)}
				s := streams{t: t}
				for _, addr := range []string{addrB, addrB6} {
					s.both(p.a, p.b, addr, 1000)
				}
				for _, way := range [][2]string{{addrA, addrB}, {addrA6, addrB6}} {
					a, b := listenUDP(t, p.a, way[0]), listenUDP(t, p.b, way[1])
					s.group.Go(func() {
						for i := range 300 {
							if err := echo(a, b, content(i, 8+i*29), true); err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
				s.group.Wait()
				// So little that the checkers miss nothing of it.
				s.both(p.a, p.b, addrB, 1)
				s.group.Wait()
				a, b := listenUDP(t, p.a, addrA), listenUDP(t, p.b, addrB)
				for i := range 10 {
					if err := echo(a, b, content(i, 100), true); err != nil {
						t.Fatal(err)
					}
				}
				for _, c := range checkers {
					c.inspected(unix.IPPROTO_TCP, unix.IPPROTO_UDP)
				}
			})
		}
	}
}

// connectMarked is connect with a mark on what the client sends, to a listener.
func connectMarked(t *testing.T, from *host, l net.Listener, mark uint32) (client, server *net.TCPConn) {
	t.Helper()
	d := net.Dialer{Timeout: patience, Control: netlab.Marked(mark)}
	d.SetMultipathTCP(false)
	from.Do(func() {
		c, err := d.DialContext(context.Background(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		client = c.(*net.TCPConn)
	})
	t.Cleanup(func() { client.Close() })
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server = c.(*net.TCPConn)
	t.Cleanup(func() { server.Close() })
	return client, server
}

// Marked and unmarked bulk flows at once: each segment has the mark of its flow
// in its element, and each merged packet that of its segments.
func TestOffloadKeepsMarks(t *testing.T) {
	begin(t)
	p := newPair(t, "net_hdr")
	p.up()
	s := streams{t: t}
	marks := map[uint16]uint32{} // by port
	var wanted []uint32
	rules := ""
	counters := "counter wrong {}\n"
	var listeners []net.Listener
	for i, mark := range []uint32{7, 0x12345678, 0, 7} {
		addr := []string{addrB, addrB6}[i/2]
		l := listenTCP(t, p.b, addr)
		port := uint16(l.Addr().(*net.TCPAddr).Port)
		marks[port] = mark
		wanted, listeners = append(wanted, mark), append(listeners, l)
		counters += fmt.Sprintf("counter c%d {}\n", i)
		rules += fmt.Sprintf("tcp dport %d meta mark %d counter name c%d\ntcp dport %d meta mark != %d counter name wrong\n", port, mark, i, port, mark)
	}
	p.b.nft("table inet t {\n" + counters + "chain in { type filter hook prerouting priority 0;\n" + rules + "}\n}")
	c := startChecker(t, p.a, "ab", "net_hdr", func(w wire) error {
		if w.protocol != unix.IPPROTO_TCP {
			return nil
		}
		port := binary.BigEndian.Uint16(w.l4[2:])
		if want, ours := marks[port]; !ours || w.mark != want {
			return fmt.Errorf("a segment to port %d has mark %#x, want %#x", port, w.mark, want)
		}
		return nil
	})
	for i, l := range listeners {
		client, server := connectMarked(t, p.a, l, wanted[i])
		s.start(fmt.Sprintf("mark %#x", wanted[i]), client, server, 2000)
	}
	s.group.Wait()
	c.inspected(unix.IPPROTO_TCP)
	if n := p.b.counter("wrong"); n > 0 {
		t.Errorf("%d packets were received with another flow's mark", n)
	}
	for i := range wanted {
		if n := p.b.counter(fmt.Sprint("c", i)); n == 0 {
			t.Errorf("no packet was received with mark %#x", wanted[i])
		}
	}
	if s := p.b.show("net0"); s.Marking.Unmarked > 0 {
		t.Errorf("%+v", s.Marking)
	}
	p.b.merged(4 * 2000 * recordSize)
}

// A child has segmentation offload of its own, and tells so.
func TestOffloadChildren(t *testing.T) {
	for _, offload := range []string{"on", "off"} {
		t.Run(offload, func(t *testing.T) {
			begin(t)
			p := newPair(t, "net_hdr", "offload="+offload)
			p.up()
			for h, addr := range map[*host]string{p.a: "10.5.0.1", p.b: "10.5.0.2"} {
				h.child("child0", addr+"/24", 5)
				h.nft("table inet t { chain out { type route hook output priority mangle; oifname child0 meta mark set 5; }\n}")
			}
			const records = 1000
			s := streams{t: t}
			s.both(p.a, p.b, "10.5.0.2", records)
			s.group.Wait()
			for _, h := range []*host{p.a, p.b} {
				c := h.show("net0").Children[0]
				switch {
				case c.Stats.RxBytes < records*recordSize:
					t.Errorf("the child received %d bytes of %d", c.Stats.RxBytes, records*recordSize)
				case offload == "off" && (c.Offload != "off" || c.Merged > 0),
					offload == "on" && (c.Offload != allOffload(t) || c.Merged < c.Stats.RxPackets/10):
					t.Errorf("offload=%s: child says %q, %d of %d packets merged", offload, c.Offload, c.Merged, c.Stats.RxPackets)
				}
			}
		})
	}
}

// Options of UDP sockets, include/uapi/linux/udp.h.
const (
	udpSegment = 103
	udpGRO     = 104
)

// setUDP sets an option of a UDP socket.
func setUDP(t *testing.T, c *net.UDPConn, option, value int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var set error
	if err := raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, option, value) }); err != nil || set != nil {
		t.Fatal(err, set)
	}
}

// Datagrams that a socket hands over many at a time (USO) arrive one by one and
// as they were, with or without a receiver that takes many (UDP_GRO).
func TestOffloadUDPSegments(t *testing.T) {
	for _, mode := range modes {
		for _, gro := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, UDP_GRO %v", mode, gro), func(t *testing.T) {
				begin(t)
				p := newPair(t, mode)
				p.up()
				c := startChecker(t, p.a, "ab", mode, nil)
				large := 0 // calls that gave more than one datagram
				for _, way := range []struct {
					a, b    string
					largest int
				}{{addrA, addrB, 1472}, {addrA6, addrB6, 1452}} {
					a, b := listenUDP(t, p.a, way.a), listenUDP(t, p.b, way.b)
					if gro {
						setUDP(t, b, udpGRO, 1)
					}
					for round := range 3 {
						for _, size := range []int{1, 2, 17, 500, 999, 1000, 1400, way.largest} {
							setUDP(t, a, udpSegment, size)
							last := []int{size, 1, (size + 1) / 2}[round]
							payload := content(size+round, 39*size+last)
							if _, err := a.WriteTo(payload, b.LocalAddr()); err != nil {
								t.Fatal(err)
							}
							n, err := receiveSegments(b, payload, size, gro)
							if err != nil {
								t.Fatalf("40 datagrams of %d bytes: %v", size, err)
							}
							large += n
						}
					}
				}
				if gro && large == 0 {
					t.Error("no datagrams were received together")
				}
				c.inspected(unix.IPPROTO_UDP)
				// Had they been cut before the device, nothing would have been merged.
				if s := p.b.show("net0"); strings.Contains(s.Offload, "uso") != (s.Merged > 0) || s.Offload != allOffload(t) {
					t.Errorf("offload %q: %d packets merged", s.Offload, s.Merged)
				}
			})
		}
	}
}

// receiveSegments wants payload in datagrams of size bytes, the last of which
// may be shorter. With gro several of them may come in one call, as the kernel
// then says. It returns how often that was.
func receiveSegments(c *net.UDPConn, payload []byte, size int, gro bool) (together int, err error) {
	buf, oob := make([]byte, 1<<16), make([]byte, 128)
	for at := 0; at < len(payload); {
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return 0, err
		}
		n, oobn, _, _, err := c.ReadMsgUDP(buf, oob)
		if err != nil {
			return 0, fmt.Errorf("after %d of %d bytes: %w", at, len(payload), err)
		}
		each := n
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return 0, err
		}
		for _, m := range messages {
			if m.Header.Level == unix.IPPROTO_UDP && m.Header.Type == udpGRO {
				each = int(binary.NativeEndian.Uint32(m.Data))
			}
		}
		if n > each {
			together++
		}
		if want := min(size, len(payload)-at); each != want && !(n > each && each == size) || n > each && !gro || at+n > len(payload) {
			return 0, fmt.Errorf("at byte %d: %d bytes in datagrams of %d", at, n, each)
		}
		if string(buf[:n]) != string(payload[at:at+n]) {
			return 0, fmt.Errorf("at byte %d: %d bytes are not those that were sent", at, n)
		}
		at += n
	}
	return together, nil
}
