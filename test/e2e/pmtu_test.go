package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
)

// pmtuEntries are the path MTUs of the marks from 1 on. Those of the rest of
// the table, which has 1024 entries, are 0.
var pmtuEntries = []uint32{0, 27, 68, 1000, 1280, 1400, 65535}

// Marks with the entry of that number.
const (
	markOf0, markOf27, markOf68, markOf1000, markOf1280, markOf1400, markOf65535 = 1, 2, 3, 4, 5, 6, 7
	markPastTable                                                                = 1025
)

// writePMTU fills a region of path MTUs.
func writePMTU(t *testing.T, file string, size int, entries []uint32) {
	t.Helper()
	var table []byte
	for _, e := range entries {
		table = binary.LittleEndian.AppendUint32(table, e)
	}
	table = append(table, make([]byte, size-len(table))...)
	if err := os.WriteFile(file, table, 0o600); err != nil {
		t.Fatal(err)
	}
}

// newPMTU makes a region of path MTUs and returns its file, which can be named
// as a region.
func newPMTU(t *testing.T) (file string) {
	t.Helper()
	dir := t.TempDir()
	if err := region.Create(dir, "pmtu", 4096, region.DefaultMode); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "pmtu")
	writePMTU(t, file, 4096, pmtuEntries)
	return file
}

// IP_MTU_DISCOVER and its values, of include/uapi/linux/in.h.
const (
	mtuMayBeCut = unix.IP_PMTUDISC_DONT
	mtuDF       = unix.IP_PMTUDISC_DO
)

func TestPMTUCutsPackets(t *testing.T) {
	begin(t)
	l := newLone(t, "pmtu="+newPMTU(t))
	l.Up("net0", "10.0.0.1/24")
	l.child("child0", "10.1.0.1/24")
	for device, to := range map[string]string{"net0": "10.0.0.2", "child0": "10.1.0.2"} {
		s := newMarkSocket(t, l.NS, device, to)
		s.option(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, mtuMayBeCut)
		s.option(unix.IPPROTO_IP, unix.IP_TOS, 0xb8)
		for _, test := range []struct {
			mark   uint32
			size   int
			pieces []int
		}{
			{markOf1000, 1428, []int{996, 452}}, // as the kernel module cuts it
			{markOf1000, 1000, []int{1000}},
			{markOf1000, 1001, []int{996, 25}},
			{0, 1428, []int{1428}},
			{markOf0, 1500, []int{1500}},
			{markOf27, 68, []int{68}},
			{markOf27, 69, []int{68, 21}},
			{markOf68, 164, []int{68, 68, 68}},
			{markOf1280, 1280, []int{1280}},
			{markOf1280, 1281, []int{1276, 25}},
			{markOf65535, 1500, []int{1500}},
			{1024, 1500, []int{1500}},
			{markPastTable, 1500, []int{1500}},
			{0xffffffff, 1500, []int{1500}},
		} {
			payload := content(test.size, test.size-overhead4)
			s.send(test.mark, payload)
			var got []int
			var whole []byte
			for range test.pieces {
				e := l.out.next()
				got = append(got, len(e.data))
				if at := int(binary.BigEndian.Uint16(e.data[6:])&0x1fff) * 8; at != len(whole) {
					t.Errorf("a piece begins at %d, want %d", at, len(whole))
				}
				whole = append(whole, e.data[20:]...)
				if e.mark != test.mark || e.qos != 0xb8>>2 || e.data[1] != 0xb8 {
					t.Errorf("a piece has mark %#x, qos %#x, type of service %#x", e.mark, e.qos, e.data[1])
				}
			}
			if !slices.Equal(got, test.pieces) || !bytes.Equal(whole[8:], payload) {
				t.Errorf("%s, mark %d: %d bytes are sent as %v, want %v with the same bytes", device, test.mark, test.size, got, test.pieces)
			}
		}
		if e, more := l.out.try(); more {
			t.Errorf("something more was sent: %x", e.data)
		}
	}
	if s := l.show("net0"); s.PMTU == "" || s.Drops["tx_exceeds_pmtu"] > 0 {
		t.Errorf("pmtu %q, drops %v", s.PMTU, s.Drops)
	}
}

// learned waits until a namespace knows the MTU of the way to an address.
func learned(t *testing.T, ns *testnet.NS, to string, mtu int) {
	t.Helper()
	var route string
	testnet.Eventually(t, fmt.Sprintf("the route to %s has mtu %d", to, mtu), func() bool {
		route = ns.MustRun("ip", "route", "get", to)
		return strings.Contains(route, fmt.Sprintf("mtu %d ", mtu))
	})
}

// Who must not be cut is told, and sends shorter packets from then on.
func TestPMTUTellsTheSender(t *testing.T) {
	begin(t)
	l := newLone(t, "pmtu="+newPMTU(t))
	for _, key := range []string{"all", "default", "net0"} {
		l.Sysctl("net.ipv6.conf."+key+".disable_ipv6", "0")
	}
	l.Up("net0", "10.0.0.1/24", "fd00::1/64")
	behind := testnet.New(t)
	l.AddVeth("v0", behind, "v1")
	l.Up("v0", "10.9.0.1/24", "fd09::1/64")
	for _, addr := range []string{"10.9.0.2/24", "fd09::2/64"} {
		behind.MustRun("ip", strings.Fields("addr add "+addr+" dev v1 nodad")...)
	}
	behind.MustRun("ip", "route", "add", "10.0.0.0/24", "via", "10.9.0.1")
	behind.MustRun("ip", "route", "add", "fd00::/64", "via", "fd09::1")
	l.Sysctl("net.ipv4.ip_forward", "1")
	l.Sysctl("net.ipv6.conf.all.forwarding", "1")

	host := byte(2) // each test has a destination of its own, that nothing is known of
	for _, from := range []struct {
		name   string
		ns     *testnet.NS
		device string
	}{{"local", l.NS, "net0"}, {"forwarded", behind, "v1"}} {
		for _, test := range []struct {
			version, mark, mtu int
		}{
			{4, markOf1000, 1000}, {4, markOf1400, 1400}, {4, markOf1280, 1280},
			{6, markOf1400, 1400}, {6, markOf1280, 1280}, {6, markOf1000, 1280}, {6, markOf27, 1280},
		} {
			// Marks do not cross to another namespace: the host sets them again.
			l.nft(fmt.Sprintf(`table inet t { chain pre { type filter hook prerouting priority mangle; iifname "v0" meta mark set %d; }; }`, test.mark))
			host++
			to, overhead, level, discover := fmt.Sprintf("10.0.0.%d", host), overhead4, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER
			if test.version == 6 {
				to, overhead, level, discover = fmt.Sprintf("fd00::%x", host), overhead6, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER
			}
			s := newMarkSocket(t, from.ns, from.device, to)
			s.option(level, discover, mtuDF)
			send := func(size int) error {
				return s.sendMarked(uint32(test.mark), content(size, size-overhead))
			}
			if err := send(1500); err != nil {
				t.Fatal(err)
			}
			learned(t, from.ns, to, test.mtu)
			if err := send(test.mtu + 1); err != unix.EMSGSIZE {
				t.Errorf("%s IPv%d, mark %d: sending a byte more than the MTU: %v", from.name, test.version, test.mark, err)
			}
			if err := send(test.mtu); err != nil {
				// The error of the first datagram is still there.
				if err = send(test.mtu); err != nil {
					t.Fatal(err)
				}
			}
			for {
				e := l.out.next()
				if len(e.data) == test.mtu && e.mark == uint32(test.mark) {
					break
				}
				// IPv6 hosts say a few things of their own.
				if len(e.data) > test.mtu || e.mark == uint32(test.mark) && e.data[0]>>4 == 4 {
					t.Errorf("%s IPv%d, mark %d: a packet of %d bytes was sent", from.name, test.version, test.mark, len(e.data))
				}
			}
			s.close()
			l.nft("delete table inet t")
		}
	}
	if s := l.show("net0"); s.Drops["tx_exceeds_pmtu"] != 14 {
		t.Errorf("drops %v, want 14 refused packets", s.Drops)
	}
}

// What is cut is put together by the receiver, to the byte.
func TestPMTUPiecesAreReassembled(t *testing.T) {
	begin(t)
	params := []string{"flags=net_hdr", "reader_protocol=12", "writer_protocol=12"}
	p := startPair(t, append(params, "pmtu="+newPMTU(t)), params)
	p.up()
	a, b := newMarkSocket(t, p.a.NS, "net0", addrB), newMarkSocket(t, p.b.NS, "net0", addrA)
	a.option(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, mtuMayBeCut)
	for _, mark := range []uint32{0, markOf0, markOf27, markOf68, markOf1000, markOf1280, markOf65535, markPastTable, 0xffffffff} {
		for _, size := range []int{0, 1, 39, 40, 41, 48, 49, 900, 971, 972, 973, 980, 1252, 1253, 1472, 1473, 2500, 8000, 20000} {
			want := content(size, size)
			if mark == markOf27 || mark == markOf68 {
				want = want[:min(size, 2500)] // or there are too many pieces for the ring
			}
			a.send(mark, want)
			got, payload, err := b.recv()
			// The kernel gives the whole packet the mark of one of its pieces.
			if err != nil || got != mark || !bytes.Equal(payload, want) {
				t.Fatalf("mark %d: %d bytes with mark %d arrive, error %v, want %d bytes", mark, len(payload), got, err, len(want))
			}
		}
	}
	// TCP, whose packets must not be cut, finds its way.
	p.a.MustRun("iptables", strings.Fields("-t mangle -A OUTPUT -o net0 -p tcp -j MARK --set-mark "+fmt.Sprint(markOf1000))...)
	p.a.MustRun("ip6tables", strings.Fields("-t mangle -A OUTPUT -o net0 -p tcp -j MARK --set-mark "+fmt.Sprint(markOf1400))...)
	for _, to := range []string{addrB, addrB6} {
		const records = 64
		client, server := connect(t, p.a, p.b, to)
		if n, err := stream(client, server, func(sent int) bool { return sent < records }); err != nil || n != records {
			t.Errorf("to %s: %d records, error %v", to, n, err)
		}
	}
	learned(t, p.a.NS, addrB, 1000)
	learned(t, p.a.NS, addrB6, 1400)
}

// A table that changes is followed at once; one that shrinks limits nothing.
func TestPMTUTableChanges(t *testing.T) {
	begin(t)
	file := newPMTU(t)
	l := newLone(t, "pmtu="+file)
	l.Up("net0", "10.0.0.1/24")
	s := newMarkSocket(t, l.NS, "net0", "10.0.0.2")
	s.option(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, mtuMayBeCut)
	expect := func(when string, pieces int) {
		t.Helper()
		s.send(markOf1000, content(1, 1472))
		got := 0
		for size := 0; size < 1480; got++ {
			size += len(l.out.next().data) - 20
		}
		if got != pieces {
			t.Errorf("%s: %d pieces, want %d", when, got, pieces)
		}
	}
	set := func(entry uint32) {
		t.Helper()
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt(binary.LittleEndian.AppendUint32(nil, entry), 4*(markOf1000-1)); err != nil {
			t.Fatal(err)
		}
	}
	truncate := func(size int64) {
		t.Helper()
		if err := os.Truncate(file, size); err != nil {
			t.Fatal(err)
		}
	}
	expect("at first", 2)
	set(500)
	expect("with 500", 4)
	set(0)
	expect("with 0", 1)
	set(500)
	truncate(0)
	for range 3 {
		expect("without a table", 1)
	}
	truncate(4096)
	expect("with an empty table", 1)
	set(800)
	expect("with a table again", 2)
	if s := l.show("net0"); s.Writer.Error != "" || s.Reader.Error != "" || s.Stats.TxDropped > 0 {
		t.Errorf("writer %+v, reader %+v, %+v", s.Writer, s.Reader, s.Stats)
	}
}

// A child's packets may be longer than its parent's elements. Their senders are
// told, as on a path with a short MTU, and no connection hangs.
func TestNarrowParentTellsItsChildren(t *testing.T) {
	for _, offload := range []string{"on", "off"} {
		t.Run(offload, func(t *testing.T) {
			begin(t)
			const mtu = 1300
			p := newPair(t, "net_hdr", "offload="+offload)
			p.up()
			for h, n := range map[*host]string{p.a: "1", p.b: "2"} {
				h.child("child0", "10.5.0."+n+"/24", 5)
				h.Up("child0", "fd05::"+n+"/64")
				h.nft("table inet t { chain out { type route hook output priority mangle; oifname child0 meta mark set 5; }\n}")
			}
			p.a.ip(fmt.Sprintf("link set net0 mtu %d", mtu))
			p.a.awaitShow("net0", "the new MTU is in force", func(s api.Interface) bool { return s.MTU == mtu && s.Writer.ElementSize == element.NetHdr.Size(mtu) })
			p.connected()
			for _, to := range []string{"10.5.0.2", "fd05::2"} {
				const records = 64
				client, server := connect(t, p.a, p.b, to)
				if n, err := stream(client, server, func(sent int) bool { return sent < records }); err != nil || n != records {
					t.Errorf("to %s: %d records, error %v", to, n, err)
				}
				learned(t, p.a.NS, to, mtu)
			}
			if c := p.a.show("net0").Children[0]; c.Drops["tx_oversize"] == 0 || len(c.Drops) > 1 {
				t.Errorf("drops %v", c.Drops)
			}
			// What may be cut is.
			a, b := newMarkSocket(t, p.a.NS, "child0", "10.5.0.2"), newMarkSocket(t, p.b.NS, "child0", "10.5.0.1")
			a.option(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, mtuMayBeCut)
			p.a.ip("route flush cache")
			want := content(1, 1472)
			a.send(5, want)
			if _, payload, err := b.recv(); err != nil || !bytes.Equal(payload, want) {
				t.Errorf("%d bytes arrive, error %v, want %d bytes", len(payload), err, len(want))
			}
		})
	}
}
