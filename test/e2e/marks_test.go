package e2e

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/testnet"
)

// someMarks are those every way of marking is tried with.
var someMarks = []uint32{0, 1, 7, 100, 0x12345678, 0xffffffff}

// The mark of what is sent is in the element, however it was set.
func TestMarksReachTheChannel(t *testing.T) {
	begin(t)
	l := newLone(t)
	l.Up("net0", "10.0.0.1/24")
	l.child("child0", "10.1.0.1/24")
	for device, to := range map[string]string{"net0": "10.0.0.2", "child0": "10.1.0.2"} {
		socket := newMarkSocket(t, l.NS, device, to)
		expect := func(how string, mark uint32, tos byte) {
			t.Helper()
			if e := l.out.next(); e.mark != mark || e.qos != tos>>2 || e.data[1] != tos {
				t.Errorf("%s, %s: element with mark %#x, qos %#x, type of service %#x; want %#x, %#x, %#x", device, how, e.mark, e.qos, e.data[1], mark, tos>>2, tos)
			}
		}
		for i, mark := range someMarks {
			tos := []byte{0, 0x28, 0xb8, 0xe0, 0x04, 0xfc}[i]
			socket.option(unix.IPPROTO_IP, unix.IP_TOS, int(tos))
			socket.send(mark, []byte("SO_MARK"))
			expect("SO_MARK", mark, tos)

			// There is no answer, so ping fails.
			ping := l.Command(testnet.Need(t, "ping"), "-c", "1", "-W", "0.01", "-I", device, "-m", fmt.Sprint(mark), "-Q", fmt.Sprint(tos), to)
			if out, err := ping.CombinedOutput(); err == nil || !strings.Contains(string(out), "1 packets transmitted, 0 received") {
				t.Fatalf("ping -m %d: %v: %s", mark, err, out)
			}
			expect("ping -m", mark, tos)

			rule := fmt.Sprintf("-t mangle -A OUTPUT -o %s -j MARK --set-mark %#x", device, mark)
			l.MustRun("iptables", strings.Fields(rule)...)
			socket.send(0x55, []byte("iptables"))
			expect("iptables "+rule, mark, tos)
			l.MustRun("iptables", strings.Fields(strings.Replace(rule, "-A", "-D", 1))...)

			l.nft(fmt.Sprintf("table ip t { chain out { type route hook output priority mangle; oifname %q meta mark set %#x; }; }", device, mark))
			socket.send(0x55, []byte("nft"))
			expect("nft", mark, tos)
			l.nft("delete table ip t")
		}
	}
	for _, m := range []struct{ tx, dropped uint64 }{
		{l.show("net0").Stats.TxPackets, l.show("net0").Stats.TxDropped},
		{l.show("net0").Children[0].Stats.TxPackets, l.show("net0").Children[0].Stats.TxDropped},
	} {
		if m.tx != uint64(4*len(someMarks)) || m.dropped > 0 {
			t.Errorf("%d packets sent, %d dropped, want %d and none", m.tx, m.dropped, 4*len(someMarks))
		}
	}
}

// What is received has its mark where Netfilter, sockets and routing look.
func TestMarksReachTheHost(t *testing.T) {
	begin(t)
	testMarksReachTheHost(t, newLone(t))
}

// The same where the program for marks is attached when one comes.
func TestMarksReachTheHostOnDemand(t *testing.T) {
	begin(t)
	l := newSecond(t)
	l.in.send(element.NetHdr, udp("10.0.0.2", "10.0.0.1", nil), 0)
	l.awaitShow("net0", "a packet without a mark", func(s api.Interface) bool { return s.Stats.RxPackets == 1 })
	if s := l.show("net0"); s.Marking.Incoming != "active (on demand)" {
		t.Errorf("incoming marks are %s before there is one", s.Marking.Incoming)
	}
	testMarksReachTheHost(t, l)
	if s := l.show("net0"); s.Marking.Incoming != l.show("first").Marking.Incoming {
		t.Errorf("incoming marks are %s after some", s.Marking.Incoming)
	}
}

func testMarksReachTheHost(t *testing.T, l *lone) {
	t.Helper()
	for _, key := range []string{"all", "default", "net0"} {
		l.Sysctl("net.ipv6.conf."+key+".disable_ipv6", "0")
	}
	l.Up("net0", "10.0.0.1/24", "fd00::1/64")
	l.child("child0", "10.1.0.1/24", 7, 0x12345678, 3)
	l.Up("child0", "fd01::1/64")
	counters, rules := "", ""
	for _, mark := range someMarks {
		counters += fmt.Sprintf("counter m%d {}\n", mark)
		rules += fmt.Sprintf("meta mark %d udp dport %d counter name m%d\n", mark, datagramPort, mark)
	}
	l.nft("table inet t {\n" + counters + "chain in { type filter hook prerouting priority 0;\n" + rules + "}\n}")
	for version, from := range map[string][2]string{"4": {"10.0.0.2", "10.1.0.2"}, "6": {"fd00::2", "fd01::2"}} {
		to := map[string][2]string{"4": {"10.0.0.1", "10.1.0.1"}, "6": {"fd00::1", "fd01::1"}}[version]
		sockets := []*markSocket{newMarkSocket(t, l.NS, "net0", from[0]), newMarkSocket(t, l.NS, "child0", from[1])}
		for _, mark := range someMarks {
			i := 0
			if mark == 7 || mark == 0x12345678 {
				i = 1
			}
			payload := fmt.Sprintf("IPv%s with mark %#x", version, mark)
			l.in.send(element.NetHdr, udp(from[i], to[i], []byte(payload)), mark)
			sockets[i].expect(mark, payload)
		}
	}
	for _, mark := range someMarks {
		if n := l.counter(fmt.Sprintf("m%d", mark)); n != 2 {
			t.Errorf("nft counts %d packets with mark %#x, want 2", n, mark)
		}
	}
	s := l.show("net0")
	if s.Marking.Unmarked+s.Children[0].Marking.Unmarked > 0 || !strings.HasPrefix(s.Marking.Incoming, "active") || s.Children[0].Stats.RxPackets != 4 {
		t.Errorf("%+v, child %+v", s.Marking, s.Children[0])
	}
}

// Marks decide the way of forwarded packets, and stay with them.
func TestForwardedPacketsKeepMarks(t *testing.T) {
	begin(t)
	l := newLone(t)
	behind := testnet.New(t)
	behind.Quiet()
	l.AddVeth("v0", behind, "v1")
	l.Up("net0", "10.0.0.1/24")
	l.Up("v0", "10.9.0.1/24")
	behind.MustRun("ip", "addr", "add", "10.9.0.2/24", "dev", "v1")
	behind.MustRun("ip", "route", "add", "default", "via", "10.9.0.1")
	l.Sysctl("net.ipv4.ip_forward", "1")
	l.nft(`table inet t {
		counter f7 {}
		chain forward { type filter hook forward priority 0; meta mark 7 counter name f7; }
		chain pre { type filter hook prerouting priority mangle; iifname "v0" meta mark set 0x64; }
	}`)
	// Only mark 7 has a way to 10.8.0.0/24.
	l.ip("route add 10.8.0.0/24 dev v0 via 10.9.0.2 table 107")
	l.ip("rule add fwmark 7 lookup 107")
	l.ip("route add blackhole 10.8.0.0/24")
	behind.MustRun("ip", "addr", "add", "10.8.0.1/24", "dev", "v1")

	socket := newMarkSocket(t, behind, "v1", "10.0.0.2")
	for _, mark := range []uint32{6, 7, 8, 0, 7} {
		l.in.send(element.NetHdr, udp("10.0.0.2", "10.8.0.1", fmt.Append(nil, "mark ", mark)), mark)
	}
	for range 2 { // in another namespace, to which marks do not go
		socket.expect(0, "mark 7")
	}
	if n := l.counter("f7"); n != 2 {
		t.Errorf("%d forwarded packets have mark 7, want 2", n)
	}
	for _, payload := range []string{"one", "two"} {
		socket.send(0, []byte(payload))
		if e := l.out.next(); e.mark != 0x64 || string(payloadOf(e.data)) != payload {
			t.Errorf("a forwarded packet comes with mark %#x: %x", e.mark, e.data)
		}
	}
}

// With fwmark_reflect an answer has the mark of the question.
func TestMarksAreReflected(t *testing.T) {
	begin(t)
	p := newPair(t, "net_hdr")
	p.a.Quiet()
	p.b.Quiet()
	p.a.Up("net0", addrA+"/24")
	p.b.Up("net0", addrB+"/24")
	p.connected()
	p.b.Sysctl("net.ipv4.fwmark_reflect", "1")
	out := newOutChannel(t, p.b.channels, "ba")
	for _, mark := range someMarks {
		p.a.MustRun("ping", "-c", "1", "-W", "30", "-m", fmt.Sprint(mark), addrB)
		if e := out.next(); e.mark != mark || e.data[9] != unix.IPPROTO_ICMP {
			t.Errorf("the answer to mark %#x has mark %#x: %x", mark, e.mark, e.data)
		}
	}
}

// Tools see marked packets intact on parent and child.
func TestTcpdumpSeesMarkedPackets(t *testing.T) {
	begin(t)
	// Merged segments have no whole checksum that could be looked at.
	p := newPair(t, "net_hdr", "offload=off")
	p.up()
	p.a.child("child0", "10.1.0.1/24")
	p.b.child("child0", "10.1.0.2/24", 7)
	p.a.MustRun("iptables", strings.Fields("-t mangle -A OUTPUT -o child0 -j MARK --set-mark 7")...)
	p.a.MustRun("iptables", strings.Fields("-t mangle -A OUTPUT -o net0 -j MARK --set-mark 8")...)
	// Answers come back over the parent, whose routes they take.
	p.b.ip("route replace 10.1.0.1 dev net0 src 10.1.0.2")
	for device, to := range map[string]string{"child0": "10.1.0.2", "net0": addrB} {
		p.a.Sysctl("net.ipv4.conf."+device+".rp_filter", "0")
		p.a.Sysctl("net.ipv4.conf.all.rp_filter", "0")
		capture := startCapture(t, p.b, device)
		a, b := listenUDP(t, p.a, map[string]string{"child0": "10.1.0.1", "net0": addrA}[device]), listenUDP(t, p.b, to)
		datagrams(t, a, b, 100, 1472)
		client, server := connect(t, p.a, p.b, to)
		if n, err := stream(client, server, func(sent int) bool { return sent < 8 }); err != nil || n != 8 {
			t.Fatalf("%d records, error %v", n, err)
		}
		last := []byte("the last packet")
		if _, err := a.WriteTo(last, b.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		text := capture.stop(last)
		if at := capturedWrong.FindStringIndex(text); at != nil {
			t.Errorf("tcpdump on %s says %q: %s", device, text[at[0]:at[1]], text[max(0, at[0]-600):min(len(text), at[1]+300)])
		}
		if n := strings.Count(text, "udp sum ok"); n != 3 {
			t.Errorf("tcpdump on %s sees %d good datagrams, want 3", device, n)
		}
		if n := strings.Count(text, "(correct)"); n < 8*recordSize>>16 {
			t.Errorf("tcpdump on %s sees %d good segments", device, n)
		}
	}
}

// Far more marks than queues: each packet, which says its mark, arrives with it
// or is counted as dropped.
func TestManyMarks(t *testing.T) {
	begin(t)
	l := newLone(t)
	l.Up("net0", "10.0.0.1/24")
	l.ip("neigh flush dev net0")
	socket := newMarkSocket(t, l.NS, "net0", "10.0.0.2")
	const tick = 2 * time.Millisecond
	churn := func(marks int, period time.Duration) {
		t.Helper()
		before := l.show("net0")
		batch := (marks*int(tick) + int(period) - 1) / int(period)
		sentTotal, received := 0, uint64(0)
		read := func() {
			for {
				e, ok := l.out.try()
				if !ok {
					return
				}
				received++
				if want := binary.BigEndian.Uint32(payloadOf(e.data)); e.mark != want {
					t.Fatalf("a packet with mark %d was sent with mark %d", want, e.mark)
				}
			}
		}
		for next := time.Now(); sentTotal < marks; next = next.Add(tick) {
			for range min(batch, marks-sentTotal) {
				sentTotal++
				mark := uint32(sentTotal)
				socket.send(mark, binary.BigEndian.AppendUint32(nil, mark))
			}
			read()
			time.Sleep(time.Until(next.Add(tick)))
		}
		var counted uint64
		testnet.Eventually(t, "every packet has arrived or is counted", func() bool {
			read()
			s := l.show("net0")
			counted = s.Marking.Overflows - before.Marking.Overflows + s.Marking.Mismatches - before.Marking.Mismatches
			return received+counted >= uint64(marks)
		})
		read()
		s := l.show("net0")
		t.Logf("%d marks in %v: %d not carried, %d queues", marks, period, counted, s.Marking.Queues)
		if received+counted != uint64(marks) || s.Stats.TxDropped-before.Stats.TxDropped != counted || s.Drops["tx_mark_overflow"]+s.Drops["tx_mark_mismatch"] != s.Stats.TxDropped {
			t.Errorf("%d sent, %d received, %d counted; drops %v", marks, received, counted, s.Drops)
		}
	}
	churn(300, time.Second)
	churn(100_000, seconds(t, "MUENNET_E2E_MARK_SECONDS", 20))
}
