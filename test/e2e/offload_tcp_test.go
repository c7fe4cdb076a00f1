package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TCP in other manners than the usual one.
func TestOffloadTCPVariants(t *testing.T) {
	sysctl := func(key, value string) func(h *host) {
		return func(h *host) { h.t.Helper(); h.Sysctl("net.ipv4."+key, value) }
	}
	advmss := func(mss int) func(h *host) {
		return func(h *host) {
			h.t.Helper()
			h.ip(fmt.Sprintf("-4 route change 192.168.1.0/24 dev net0 advmss %d", mss))
			h.ip(fmt.Sprintf("-6 route add fd00:1::/64 dev net0 metric 1 advmss %d", mss))
		}
	}
	for _, variant := range []struct {
		name    string
		prepare []func(h *host)
		records int
	}{
		{"no timestamps", []func(*host){sysctl("tcp_timestamps", "0")}, 200},
		{"no window scaling", []func(*host){sysctl("tcp_window_scaling", "0")}, 100},
		{"no selective acknowledgements", []func(*host){sysctl("tcp_sack", "0")}, 200},
		{"none of them", []func(*host){sysctl("tcp_timestamps", "0"), sysctl("tcp_window_scaling", "0"), sysctl("tcp_sack", "0")}, 100},
		{"segments of 536 bytes", []func(*host){advmss(536)}, 100},
		{"segments of 88 bytes", []func(*host){advmss(88)}, 30},
		{"odd segments without timestamps", []func(*host){advmss(1001), sysctl("tcp_timestamps", "0")}, 100},
	} {
		for _, mode := range modes {
			t.Run(mode+", "+variant.name, func(t *testing.T) {
				begin(t)
				p := newPair(t, mode)
				p.up()
				for _, h := range []*host{p.a, p.b} {
					for _, prepare := range variant.prepare {
						prepare(h)
					}
				}
				c := startChecker(t, p.a, "ab", mode, nil)
				s := streams{t: t}
				for _, addr := range []string{addrB, addrB6} {
					s.both(p.a, p.b, addr, variant.records)
				}
				s.group.Wait()
				c.end()
				p.b.merged(2 * variant.records * recordSize)
			})
		}
	}
}

// With ECN and a receiver that finds congestion marks: CWR is in one segment of
// a super-packet only, and no segment with it is merged.
func TestOffloadECN(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			begin(t)
			p := newPair(t, mode)
			p.up()
			for _, h := range []*host{p.a, p.b} {
				h.Sysctl("net.ipv4.tcp_ecn", "1")
				// The default of the machine need not react to marks.
				h.Sysctl("net.ipv4.tcp_congestion_control", "reno")
			}
			p.b.nft(`table inet t {
				counter marked {}
				counter cwr {}
				chain in { type filter hook prerouting priority -300;
					tcp flags & cwr == cwr counter name cwr
					ip ecn ect0 numgen random mod 50 == 0 ip ecn set ce counter name marked
					ip6 ecn ect0 numgen random mod 50 == 0 ip6 ecn set ce counter name marked
				}
			}`)
			var cwr, withCWR atomic.Int64
			c := startChecker(t, p.a, "ab", mode, func(w wire) error {
				if w.protocol == unix.IPPROTO_TCP && w.l4[13]&0x82 == 0x80 { // without SYN
					cwr.Add(1)
					if len(w.l4) > 1000 {
						withCWR.Add(1)
					}
				}
				return nil
			})
			s := streams{t: t}
			for _, addr := range []string{addrB, addrB6} {
				s.both(p.a, p.b, addr, 1000)
			}
			s.group.Wait()
			c.end()
			t.Logf("%d packets marked, %d elements with CWR, %d of them full", p.b.counter("marked"), cwr.Load(), withCWR.Load())
			if p.b.counter("marked") == 0 || p.b.counter("cwr") == 0 {
				t.Errorf("%d packets marked, %d with CWR: ECN is not in use", p.b.counter("marked"), p.b.counter("cwr"))
			}
			p.b.merged(2 * 1000 * recordSize)
		})
	}
}

// A receiver that stands still for 50 ms every second loses what overtakes it,
// and no more: TCP keeps at least half of its rate, and all of its bytes. The
// bound leaves room for a machine that has other things to do.
func TestOffloadReaderStandsStill(t *testing.T) {
	const (
		rounds = 5
		bound  = 0.35
	)
	begin(t)
	p := newPair(t, "net_hdr")
	p.up()
	client, server := connect(t, p.a, p.b, addrB)
	var sent atomic.Int64
	var over atomic.Bool
	ended := make(chan error, 1)
	go func() {
		_, err := stream(client, server, func(n int) bool { sent.Store(int64(n)); return !over.Load() })
		ended <- err
	}()
	reader := p.b.daemon.Process
	// second is one second of traffic; it returns the rate in records per second.
	second := func(still time.Duration) float64 {
		start, before := time.Now(), sent.Load()
		if still > 0 {
			if err := reader.Signal(unix.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			time.Sleep(still)
			if err := reader.Signal(unix.SIGCONT); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second - time.Since(start))
		return float64(sent.Load()-before) / time.Since(start).Seconds()
	}
	second(0)
	var ratios []float64
	var text []string
	for range rounds {
		normal := (second(0) + second(0)) / 2
		disturbed := (second(50*time.Millisecond) + second(50*time.Millisecond)) / 2
		ratios = append(ratios, disturbed/normal)
		text = append(text, fmt.Sprintf("%.0f of %.0f Mb/s", disturbed*recordSize*8/1e6, normal*recordSize*8/1e6))
	}
	over.Store(true)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	slices.Sort(ratios)
	median := ratios[rounds/2]
	s := p.b.show("net0")
	t.Logf("%.2f of the rate (%s), %d overruns with %d elements lost", median, strings.Join(text, ", "), s.Stats.RxOverErrors, s.Reader.Lost)
	if median < bound {
		t.Errorf("%.2f of the rate is left, want %.2f", median, bound)
	}
}
