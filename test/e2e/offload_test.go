package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/testnet"
)

// allOffload is what `show` says of a device with all that the kernel has.
func allOffload(t *testing.T) string {
	t.Helper()
	if !testnet.Kernel(t, 6, 2) {
		return "tso gro"
	}
	return "tso uso gro"
}

// modes are those with segmentation offload.
var modes = []string{"net_hdr", "eth_dev"}

// number is the value of an environment variable that makes a test larger.
func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	n := otherwise
	if s := os.Getenv(variable); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil || n < 1 {
			t.Fatalf("%s=%q: want a number of at least 1", variable, s)
		}
	}
	return n
}

// upTo is for stream: so many records.
func upTo(records int) func(int) bool {
	return func(sent int) bool { return sent < records }
}

// merged fails unless a host received this many bytes or more, in packets of no
// more than its MTU, a good part of which were merged.
func (h *host) merged(bytes int) {
	h.t.Helper()
	s := h.show("net0")
	if s.Stats.RxBytes < uint64(bytes) || s.Stats.RxPackets < uint64(bytes/s.MTU) || s.Merged < s.Stats.RxPackets/10 || s.Offload != allOffload(h.t) {
		h.t.Errorf("offload %q: %d bytes received in %d packets, of which %d were merged; want %d bytes", s.Offload, s.Stats.RxBytes, s.Stats.RxPackets, s.Merged, bytes)
	}
	h.t.Logf("%d of %d received packets were merged, %d elements lost in %d overruns", s.Merged, s.Stats.RxPackets, s.Reader.Lost, s.Reader.Overruns)
}

// MUENNET_E2E_GIB GiB of TCP, in four parts.
func TestOffloadBulkTCP(t *testing.T) {
	records := number(t, "MUENNET_E2E_GIB", 1) << 30 / 4 / recordSize
	for _, mode := range modes {
		for _, addr := range []string{addrB, addrB6} {
			t.Run(mode+" to "+addr, func(t *testing.T) {
				begin(t)
				p := newPair(t, mode)
				p.up()
				client, server := connect(t, p.a, p.b, addr)
				start := time.Now()
				n, err := stream(client, server, upTo(records))
				if err != nil || n != records {
					t.Fatalf("%d of %d records: %v", n, records, err)
				}
				t.Logf("%.2f Gb/s", float64(n)*recordSize*8/float64(time.Since(start).Nanoseconds()))
				p.b.merged(records * recordSize)
			})
		}
	}
}

// streams runs a stream over each connection at the same time.
type streams struct {
	t     *testing.T
	group sync.WaitGroup
}

func (s *streams) start(name string, from, to *net.TCPConn, records int) {
	s.group.Go(func() {
		if n, err := stream(from, to, upTo(records)); err != nil || n != records {
			s.t.Errorf("%s: %d of %d records: %v", name, n, records, err)
		}
	})
}

// both starts a stream each way between two hosts.
func (s *streams) both(a, b *host, addr string, records int) {
	s.t.Helper()
	there, here := connect(s.t, a, b, addr)
	s.start("to "+addr, there, here, records)
	there, here = connect(s.t, a, b, addr)
	s.start("from "+addr, here, there, records)
}

func TestOffloadParallelFlows(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			begin(t)
			p := newPair(t, mode)
			p.up()
			s := streams{t: t}
			for i := range 16 {
				s.both(p.a, p.b, []string{addrB, addrB6}[i%2], 100)
			}
			s.group.Wait()
			p.b.merged(16 * 100 * recordSize)
			p.a.merged(16 * 100 * recordSize)
		})
	}
}

// echo sends a datagram to a socket of the other host and wants it back as it
// was. Where others fill the channel it may be lost, and is sent again.
func echo(a, b *net.UDPConn, payload []byte, again bool) error {
	buf := make([]byte, 1<<16)
	wait := patience
	if again {
		wait = 500 * time.Millisecond
	}
	receive := func(c *net.UDPConn) error {
		for {
			if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
				return err
			}
			n, _, err := c.ReadFrom(buf)
			switch {
			case err != nil:
				return err
			case bytes.Equal(buf[:n], payload):
				return nil
			case !again:
				return fmt.Errorf("arrived as %d bytes: %.100x", n, buf[:n])
			}
		}
	}
	try := func() error {
		if _, err := a.WriteTo(payload, b.LocalAddr()); err != nil {
			return err
		}
		if err := receive(b); err != nil {
			return err
		}
		if _, err := b.WriteTo(payload, a.LocalAddr()); err != nil {
			return err
		}
		return receive(a)
	}
	err := try()
	for tries := 0; again && tries < 100 && errors.Is(err, os.ErrDeadlineExceeded); tries++ {
		err = try()
	}
	if err != nil {
		return fmt.Errorf("datagram of %d bytes: %w", len(payload), err)
	}
	return nil
}

// someSizes is every stride-th size of datagrams up to the largest, and those
// around the number of fragments that they need.
func someSizes(largest, header, stride int) (all []int) {
	for n := 0; n <= largest; n += stride {
		all = append(all, n)
	}
	const inFragment = 1480 // 1500 without the IPv4 header; as much fits behind those of IPv6, 8 less
	for edge := inFragment - header; edge < largest; edge += inFragment - header + 8 {
		all = append(all, edge-1, edge, edge+1)
	}
	return append(all, 1, 2, largest-1, largest)
}

// MUENNET_E2E_STRIDE=1 sends all sizes.
func TestOffloadUDPSizes(t *testing.T) {
	stride := number(t, "MUENNET_E2E_STRIDE", 149)
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			begin(t)
			p := newPair(t, mode)
			p.up()
			for _, way := range []struct {
				a, b   string
				header int
			}{{addrA, addrB, 8}, {addrA6, addrB6, 8 + 28}} {
				a, b := listenUDP(t, p.a, way.a), listenUDP(t, p.b, way.b)
				for _, size := range someSizes(65507, way.header, stride) {
					if err := echo(a, b, content(size, size), false); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// Streams, datagrams and pings at the same time.
func TestOffloadMix(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			begin(t)
			p := newPair(t, mode)
			p.up()
			s := streams{t: t}
			for _, addr := range []string{addrB, addrB6} {
				s.both(p.a, p.b, addr, 800)
			}
			for _, way := range [][2]string{{addrA, addrB}, {addrA6, addrB6}} {
				a, b := listenUDP(t, p.a, way[0]), listenUDP(t, p.b, way[1])
				s.group.Go(func() {
					for i := range 60 {
						size := []int{0, 1, 64, 1452, 1472, 3000, 9000}[i%7]
						// Numbered in their first bytes, so that a late one is not taken for the
						// next.
						if err := echo(a, b, content(i, size+i), true); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			s.group.Wait()
			newPinger(t, p.a, addrA, addrB).echo(content(1, 5000))
			p.b.merged(2 * 800 * recordSize)
		})
	}
}

// Peers need not have the same offload, nor the same MTU.
func TestOffloadPeers(t *testing.T) {
	for _, mode := range modes {
		for _, c := range []struct{ a, b string }{
			{"offload=on", "offload=off"},
			{"offload=off", "offload=off"},
			{"mtu=9000", "mtu=1500"},
			{"mtu=1280", "mtu=1500"},
			{"mtu=9000 offload=off", "mtu=1400"},
		} {
			t.Run(fmt.Sprintf("%s, %s and %s", mode, c.a, c.b), func(t *testing.T) {
				begin(t)
				params := []string{"flags=" + mode, "reader_protocol=12", "writer_protocol=12"}
				p := startPair(t, append(strings.Fields(c.a), params...), append(strings.Fields(c.b), params...))
				p.up()
				for h, own := range map[*host]string{p.a: c.a, p.b: c.b} {
					want := allOffload(t)
					if strings.Contains(own, "off") && !strings.Contains(own, "on") {
						want = "off"
					}
					if got := h.show("net0").Offload; got != want {
						t.Errorf("%s: show tells offload %q, want %q", own, got, want)
					}
					if text := h.must("show", "net0"); !strings.Contains(text, "offload:                 "+want+"\n") {
						t.Errorf("%s: show does not tell offload %s:\n%s", own, want, text)
					}
				}
				s := streams{t: t}
				for _, addr := range []string{addrB, addrB6} {
					s.both(p.a, p.b, addr, 150)
				}
				s.group.Wait()
				for _, h := range []*host{p.a, p.b} {
					if s := h.show("net0"); s.Stats.RxErrors > s.Stats.RxOverErrors || s.Drops["tx_oversize"] > 0 || s.Drops["tx_bad_offload"] > 0 {
						t.Errorf("%+v, drops %v", s.Stats, s.Drops)
					}
				}
			})
		}
	}
}

// Super-packets that a router takes from a veth and sends through net0, and
// merged ones that it takes from net0, with connection tracking that verifies
// checksums and sequence numbers.
func TestOffloadForwarding(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			begin(t)
			p := newPair(t, mode)
			p.up()
			behind := &host{NS: testnet.New(t), t: t}
			p.a.AddVeth("v0", behind.NS, "v1")
			p.a.Up("v0", "10.9.0.1/24", "fd09::1/64")
			behind.Up("v1", "10.9.0.2/24", "fd09::2/64")
			p.a.Sysctl("net.ipv4.ip_forward", "1")
			p.a.Sysctl("net.ipv6.conf.all.forwarding", "1")
			for _, route := range []string{"-4 route add 192.168.1.0/24 via 10.9.0.1", "-6 route add fd00:1::/64 via fd09::1"} {
				behind.ip(route)
			}
			for _, route := range []string{"-4 route add 10.9.0.0/24 via " + addrA, "-6 route add fd09::/64 via " + addrA6} {
				p.b.ip(route)
			}
			for _, h := range []*host{p.a, p.b} {
				h.Sysctl("net.netfilter.nf_conntrack_checksum", "1")
				h.nft(`table inet t {
					counter invalid {}
					counter established {}
					counter large {}
					chain pre { type filter hook prerouting priority 0;
						ct state invalid counter name invalid
						ct state established counter name established
						meta length > 1500 counter name large
					}
				}`)
			}
			s := streams{t: t}
			for _, addr := range []string{addrB, addrB6} {
				s.both(behind, p.b, addr, 1000)
			}
			s.group.Wait()
			for name, h := range map[string]*host{"router": p.a, "end": p.b} {
				if n := h.counter("invalid"); n > 0 {
					t.Errorf("connection tracking of the %s finds %d packets invalid", name, n)
				}
				if h.counter("established") == 0 || h.counter("large") == 0 {
					t.Errorf("the %s sees %d packets of established connections and %d super-packets", name, h.counter("established"), h.counter("large"))
				}
			}
			p.b.merged(2 * 1000 * recordSize)
		})
	}
}
