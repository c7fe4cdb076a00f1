package packet

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// checkTooBig checks the error about p with an independent parser.
func checkTooBig(t *testing.T, answer, p []byte, mtu int) {
	t.Helper()
	if p[0]>>4 == 6 {
		checkTooBig6(t, answer, p, mtu)
		return
	}
	h, err := ipv4.ParseHeader(answer)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := ipv4.ParseHeader(p)
	if err != nil {
		t.Fatal(err)
	}
	if !h.Src.Equal(whole.Dst) || !h.Dst.Equal(whole.Src) {
		t.Fatalf("from %v to %v about %v to %v", h.Src, h.Dst, whole.Src, whole.Dst)
	}
	if h.Len != 20 || h.TotalLen != len(answer) || h.TTL != 64 || h.Protocol != 1 || h.TOS != 0xc0 || h.ID != 0 ||
		h.Flags != ipv4.DontFragment || h.FragOff != 0 || naiveSum(answer[:20], 0) != 0xffff {
		t.Fatalf("header %v of %d bytes", h, len(answer))
	}
	message := answer[20:]
	m, err := icmp.ParseMessage(1, message)
	if err != nil {
		t.Fatal(err)
	}
	if m.Type != ipv4.ICMPTypeDestinationUnreachable || m.Code != 4 || naiveSum(message, 0) != 0xffff {
		t.Fatalf("ICMP %v code %d, sum %#x", m.Type, m.Code, naiveSum(message, 0))
	}
	if unused, next := binary.BigEndian.Uint16(message[4:]), binary.BigEndian.Uint16(message[6:]); unused != 0 || int(next) != mtu {
		t.Fatalf("next-hop MTU %d behind %d, want %d behind 0", next, unused, mtu)
	}
	if quote := message[8:]; len(quote) != min(len(p), 576-28) || !bytes.Equal(quote, p[:len(quote)]) {
		t.Fatalf("quotes %d of %d bytes", len(quote), len(p))
	}
}

func checkTooBig6(t *testing.T, answer, p []byte, mtu int) {
	t.Helper()
	h, err := ipv6.ParseHeader(answer)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := ipv6.ParseHeader(p)
	if err != nil {
		t.Fatal(err)
	}
	if !h.Src.Equal(whole.Dst) || !h.Dst.Equal(whole.Src) {
		t.Fatalf("from %v to %v about %v to %v", h.Src, h.Dst, whole.Src, whole.Dst)
	}
	if h.PayloadLen != len(answer)-40 || h.NextHeader != 58 || h.HopLimit != 64 || h.TrafficClass != 0 || h.FlowLabel != 0 {
		t.Fatalf("header %v of %d bytes", h, len(answer))
	}
	message := answer[40:]
	m, err := icmp.ParseMessage(58, message)
	if err != nil {
		t.Fatal(err)
	}
	body, ok := m.Body.(*icmp.PacketTooBig)
	if !ok || m.Type != ipv6.ICMPTypePacketTooBig || m.Code != 0 || body.MTU != mtu {
		t.Fatalf("ICMPv6 %v code %d: %+v", m.Type, m.Code, m.Body)
	}
	pseudo := append(append([]byte{}, answer[8:40]...), 0, 0, byte(len(message)>>8), byte(len(message)), 0, 0, 0, 58)
	if sum := naiveSum(message, naiveSum(pseudo, 0)); sum != 0xffff {
		t.Fatalf("sum %#x", sum)
	}
	if quote := body.Data; len(quote) != 1280-48 || !bytes.Equal(quote, p[:len(quote)]) {
		t.Fatalf("quotes %d of %d bytes", len(quote), len(p))
	}
}

func TestTooBigLengths(t *testing.T) {
	for _, c := range []struct{ length, mtu, want4 int }{
		{69, 68, 97}, {547, 68, 575}, {548, 68, 576}, {549, 68, 576}, {1428, 1000, 576}, {65535, 65534, 576},
	} {
		p := packet4{word: dontFragment, payload: payloadOf(c.length - 20)}.build()
		dst := bytes.Repeat([]byte{0xee}, MaxTooBig)
		before := bytes.Clone(p)
		n, ok := TooBig(dst, p, c.mtu)
		if !ok || n != c.want4 {
			t.Fatalf("%d bytes at %d: answer of %d bytes, %t", c.length, c.mtu, n, ok)
		}
		checkTooBig(t, dst[:n], p, c.mtu)
		if !bytes.Equal(p, before) || len(bytes.Trim(dst[n:], "\xee")) > 0 {
			t.Errorf("%d bytes at %d: wrote elsewhere", c.length, c.mtu)
		}
		if n, ok := TooBig(dst[:n-1], p, c.mtu); ok {
			t.Errorf("%d bytes at %d: answer of %d bytes in %d", c.length, c.mtu, n, c.want4-1)
		}
	}
	for _, c := range []struct{ length, mtu int }{{1281, 1280}, {1500, 1280}, {1500, 1499}, {65575, 65574}} {
		p := packet6(17, payloadOf(c.length-40))
		dst := bytes.Repeat([]byte{0xee}, MaxTooBig)
		n, ok := TooBig(dst, p, c.mtu)
		if !ok || n != 1280 {
			t.Fatalf("v6, %d bytes at %d: answer of %d bytes, %t", c.length, c.mtu, n, ok)
		}
		checkTooBig(t, dst, p, c.mtu)
		if _, ok := TooBig(dst[:n-1], p, c.mtu); ok {
			t.Errorf("v6, %d bytes at %d: answer in a short buffer", c.length, c.mtu)
		}
	}
}

// The limit must be one that a sender can follow and that the packet exceeds.
func TestTooBigMTU(t *testing.T) {
	var dst [MaxTooBig]byte
	p4 := packet4{word: dontFragment, payload: payloadOf(1480)}.build()
	p6 := packet6(17, payloadOf(1460))
	for _, c := range []struct {
		name string
		p    []byte
		mtu  int
		want bool
	}{
		{"v4", p4, 67, false}, {"v4", p4, 68, true}, {"v4", p4, 1499, true}, {"v4", p4, 1500, false}, {"v4", p4, 0, false}, {"v4", p4, -1, false},
		{"v6", p6, 1279, false}, {"v6", p6, 1280, true}, {"v6", p6, 1499, true}, {"v6", p6, 1500, false}, {"v6", p6, 0, false},
		{"without DF", packet4{payload: payloadOf(1480)}.build(), 1000, false},
		{"malformed", p4[:1499], 1000, false},
		{"malformed v6", p6[:1499], 1280, false},
		{"not IP", payloadOf(1500), 1000, false},
	} {
		if _, ok := TooBig(dst[:], c.p, c.mtu); ok != c.want {
			t.Errorf("%s at %d: %t", c.name, c.mtu, ok)
		}
	}
}

func TestTooBigIPv4Rules(t *testing.T) {
	const icmp4 = 1
	message := func(kind byte) []byte { return append([]byte{kind}, payloadOf(1300)...) }
	for _, c := range []struct {
		name string
		p    packet4
		want bool
	}{
		{"UDP", packet4{}, true},
		{"first fragment", packet4{word: moreFollow}, true},
		{"second fragment", packet4{word: 1}, false},
		{"from loopback", packet4{from: [4]byte{127, 1, 2, 3}}, false},
		{"from multicast", packet4{from: [4]byte{224, 0, 0, 1}}, false},
		{"from class E", packet4{from: [4]byte{240, 0, 0, 1}}, false},
		{"from broadcast", packet4{from: [4]byte{255, 255, 255, 255}}, false},
		{"to loopback", packet4{to: [4]byte{127, 0, 0, 1}}, false},
		{"to multicast", packet4{to: [4]byte{239, 1, 2, 3}}, false},
		{"to broadcast", packet4{to: [4]byte{255, 255, 255, 255}}, false},
		{"to class E", packet4{to: [4]byte{240, 0, 0, 1}}, true},
		{"echo request", packet4{protocol: icmp4, payload: message(8)}, true},
		{"echo reply", packet4{protocol: icmp4, payload: message(0)}, true},
		{"echo request with options", packet4{protocol: icmp4, options: []byte{1, 1, 1, 0}, payload: message(8)}, true},
		{"timestamp", packet4{protocol: icmp4, payload: message(13)}, true},
		{"extended echo", packet4{protocol: icmp4, payload: message(42)}, true},
		{"unreachable", packet4{protocol: icmp4, payload: message(3)}, false},
		{"source quench", packet4{protocol: icmp4, payload: message(4)}, false},
		{"redirect", packet4{protocol: icmp4, payload: message(5)}, false},
		{"time exceeded", packet4{protocol: icmp4, payload: message(11)}, false},
		{"parameter problem", packet4{protocol: icmp4, payload: message(12)}, false},
		{"parameter problem with options", packet4{protocol: icmp4, options: []byte{8, 4, 0, 0}, payload: message(12)}, false},
		{"unknown ICMP", packet4{protocol: icmp4, payload: message(64)}, false},
		{"unknown ICMP 72", packet4{protocol: icmp4, payload: message(72)}, false}, // 64 + 8
		{"unknown ICMP 255", packet4{protocol: icmp4, payload: message(255)}, false},
	} {
		if c.p.payload == nil {
			c.p.payload = payloadOf(1400)
		}
		c.p.word |= dontFragment
		p := c.p.build()
		dst := make([]byte, MaxTooBig)
		n, ok := TooBig(dst, p, 1000)
		if ok != c.want {
			t.Errorf("%s: %t", c.name, ok)
		}
		if ok {
			checkTooBig(t, dst[:n], p, 1000)
		} else if n != 0 || !bytes.Equal(dst, make([]byte, MaxTooBig)) {
			t.Errorf("%s: no answer, but %d bytes written", c.name, n)
		}
	}
}

func TestTooBigZeroAddress(t *testing.T) {
	for _, at := range []int{12, 16} {
		p := packet4{word: dontFragment, payload: payloadOf(1480)}.build()
		clear(p[at : at+4])
		seal(p)
		if _, ok := TooBig(make([]byte, MaxTooBig), p, 1000); ok {
			t.Errorf("answer to a packet with 0.0.0.0 at byte %d", at)
		}
	}
}

func TestTooBigIPv6Rules(t *testing.T) {
	const icmp6 = 58
	message := func(kind byte) []byte { return append([]byte{kind}, payloadOf(1400)...) }
	behind := func(header []byte, rest []byte) []byte { return append(header, rest...) }
	for _, c := range []struct {
		name     string
		from, to string
		next     byte
		payload  []byte
		want     bool
	}{
		{"UDP", "", "", 17, nil, true},
		{"link-local", "fe80::1", "fe80::2", 17, nil, true},
		{"from ::", "::", "", 17, nil, false},
		{"from loopback", "::1", "", 17, nil, false},
		{"from multicast", "ff02::1", "", 17, nil, false},
		{"to multicast", "", "ff0e::1", 17, nil, false},
		{"to ::", "", "::", 17, nil, false},
		{"to loopback", "", "::1", 17, nil, false},
		{"echo request", "", "", icmp6, message(128), true},
		{"echo reply", "", "", icmp6, message(129), true},
		{"redirect", "", "", icmp6, message(137), false},
		{"unreachable", "", "", icmp6, message(1), false},
		{"packet too big", "", "", icmp6, message(2), false},
		{"unknown error", "", "", icmp6, message(127), false},
		{"error after options", "", "", 0, behind([]byte{icmp6, 0, 7: 0}, message(1)), false},
		{"echo after options", "", "", 0, behind([]byte{icmp6, 0, 7: 0}, message(128)), true},
		{"first fragment of an echo", "", "", 44, behind([]byte{icmp6, 0, 0, 1, 0, 0, 0, 9}, message(128)), true},
		{"later fragment of ICMPv6", "", "", 44, behind([]byte{icmp6, 0, 8, 1, 0, 0, 0, 9}, message(128)), false},
		{"later fragment of UDP", "", "", 44, behind([]byte{17, 0, 8, 1, 0, 0, 0, 9}, message(1)), true},
		{"headers beyond the packet", "", "", 60, behind([]byte{17, 255}, message(128)), false},
	} {
		if c.payload == nil {
			c.payload = payloadOf(1400)
		}
		p := packet6(c.next, c.payload)
		if c.from != "" {
			from := netip.MustParseAddr(c.from).As16()
			copy(p[8:], from[:])
		}
		if c.to != "" {
			to := netip.MustParseAddr(c.to).As16()
			copy(p[24:], to[:])
		}
		dst := make([]byte, MaxTooBig)
		n, ok := TooBig(dst, p, 1300)
		if ok != c.want {
			t.Errorf("%s: %t", c.name, ok)
		}
		if ok {
			checkTooBig(t, dst[:n], p, 1300)
		} else if n != 0 || !bytes.Equal(dst, make([]byte, MaxTooBig)) {
			t.Errorf("%s: no answer, but %d bytes written", c.name, n)
		}
	}
}

// An answer never causes another one: TooBig does not answer its own packets,
// even under a lower limit.
func TestTooBigNeverAnswersItself(t *testing.T) {
	var first, second [MaxTooBig]byte
	for _, p := range [][]byte{
		packet4{word: dontFragment, payload: payloadOf(1480)}.build(),
		packet6(17, payloadOf(1460)),
	} {
		n, ok := TooBig(first[:], p, 1280)
		if !ok {
			t.Fatal("no answer")
		}
		for mtu := 0; mtu <= n; mtu++ {
			if _, ok := TooBig(second[:], first[:n], mtu); ok {
				t.Fatalf("IPv%d error answered at %d", Version(p), mtu)
			}
		}
	}
}
