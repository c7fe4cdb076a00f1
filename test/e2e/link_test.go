package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/testnet"
)

// Overhead of an echo request or a datagram.
const (
	overhead4 = 20 + 8
	overhead6 = 40 + 8
)

func TestPingOfEverySize(t *testing.T) {
	begin(t)
	p := newPair(t, "net_hdr")
	p.up()
	newPinger(t, p.a, addrA, addrB).sweep(0, 1500-overhead4)
	newPinger(t, p.b, addrB, addrA).sweep(0, 1500-overhead4)
	newPinger(t, p.a, addrA6, addrB6).sweep(0, 1500-overhead6)
	newPinger(t, p.b, addrB6, addrA6).sweep(0, 1500-overhead6)
	p.nothingLost(t)
}

// nothingLost checks that neither host has counted a loss of any kind.
func (p *pair) nothingLost(t *testing.T) {
	t.Helper()
	for _, s := range []api.Interface{p.a.show("net0"), p.b.show("net0")} {
		x := s.Stats
		if x.RxErrors+x.RxDropped+x.TxDropped+x.RxOverErrors+x.RxFrameErrors+s.Reader.Lost > 0 || len(s.Drops) > 0 {
			t.Errorf("in=%s: %+v, drops %v, lost %d; want no losses", s.In, x, s.Drops, s.Reader.Lost)
		}
	}
}

// What is sent right after "up" arrives, and so does its answer.
func TestFirstPacketIsNotLost(t *testing.T) {
	begin(t)
	p := newPair(t, "net_hdr")
	p.up()
	for range 20 {
		p.a.ip("link set net0 down")
		p.a.awaitShow("net0", "muennet has seen it go down", func(s api.Interface) bool { return !s.Up })
		p.a.ip("link set net0 up")
		newPinger(t, p.a, addrA, addrB).echo(content(1, 64))
	}
}

func TestPingProgram(t *testing.T) {
	begin(t)
	p := newPair(t, "net_hdr")
	p.up()
	for to, size := range map[string]int{addrB: 1500 - overhead4, addrB6: 1500 - overhead6} {
		// With a deadline it sends until it has that many answers, instead of
		// giving the last one hardly any time.
		out := p.a.MustRun("ping", "-n", "-c", "50", "-i", "0.002", "-w", "60", "-M", "do", "-s", strconv.Itoa(size), to)
		for seq := 1; seq <= 50; seq++ {
			if !strings.Contains(out, fmt.Sprintf("icmp_seq=%d ttl=64 time=", seq)) {
				t.Fatalf("ping %s: %d is not answered:\n%s", to, seq, out)
			}
		}
	}
	// One byte more does not fit, and ping is told so before it is sent.
	if out, err := p.a.Command(testnet.Need(t, "ping"), "-n", "-c", "1", "-M", "do", "-s", "1473", addrB).CombinedOutput(); err == nil ||
		!strings.Contains(string(out), "message too long, mtu=1500") {
		t.Errorf("ping of 1501 bytes: %v: %s", err, out)
	}
}

func TestTCPBothWays(t *testing.T) {
	for _, offload := range [][2]string{{"on", "on"}, {"on", "off"}, {"off", "off"}} {
		t.Run("offload="+offload[0]+","+offload[1], func(t *testing.T) {
			begin(t)
			params := []string{"flags=net_hdr", "reader_protocol=12", "writer_protocol=12"}
			p := startPair(t, append(params[:3:3], "offload="+offload[0]), append(params[:3:3], "offload="+offload[1]))
			p.up()
			testTCPBothWays(t, p)
		})
	}
}

func testTCPBothWays(t *testing.T, p *pair) {
	t.Helper()
	const records = 16 << 20 / recordSize
	for _, way := range []struct {
		from, to *host
		addr     string
	}{{p.a, p.b, addrB}, {p.b, p.a, addrA}, {p.a, p.b, addrB6}, {p.b, p.a, addrA6}} {
		client, server := connect(t, way.from, way.to, way.addr)
		if n, err := stream(client, server, func(sent int) bool { return sent < records }); err != nil || n != records {
			t.Errorf("to %s: %d of %d records, error %v", way.addr, n, records, err)
		}
		// And back over the same connection's other half.
		if n, err := stream(server, client, func(sent int) bool { return sent < records }); err != nil || n != records {
			t.Errorf("back from %s: %d of %d records, error %v", way.addr, n, records, err)
		}
	}
}

func TestUDPBothWays(t *testing.T) {
	begin(t)
	p := newPair(t, "net_hdr")
	p.up()
	a, b := listenUDP(t, p.a, addrA), listenUDP(t, p.b, addrB)
	// Beyond 1472 bytes the kernel fragments; 65507 is the longest datagram.
	all := append(sizes(0, 1500-overhead4+1), 4000, 9000, 65507)
	datagrams(t, a, b, all...)
	datagrams(t, b, a, all...)

	a6, b6 := listenUDP(t, p.a, addrA6), listenUDP(t, p.b, addrB6)
	all = append(sizes(0, 1500-overhead6+1), 4000, 9000, 65487)
	datagrams(t, a6, b6, all...)
	datagrams(t, b6, a6, all...)
	p.nothingLost(t)
}

func TestTCPAtFullRate(t *testing.T) {
	begin(t)
	seconds := 60
	if s := os.Getenv("MUENNET_E2E_SECONDS"); s != "" {
		var err error
		if seconds, err = strconv.Atoi(s); err != nil || seconds < 1 {
			t.Fatalf("MUENNET_E2E_SECONDS=%q: want a number of at least 1", s)
		}
	}
	p := newPair(t, "net_hdr")
	p.up()
	client4, server4 := connect(t, p.a, p.b, addrB)
	client6, server6 := connect(t, p.b, p.a, addrA6)
	begun := time.Now()
	more := func(int) bool { return time.Since(begun) < time.Duration(seconds)*time.Second }
	type outcome struct {
		way     string
		records int
		err     error
	}
	outcomes := make(chan outcome)
	run := func(way string, client, server *net.TCPConn) {
		n, err := stream(client, server, more)
		outcomes <- outcome{way, n, err}
	}
	go run("IPv4 a to b", client4, server4)
	go run("IPv6 b to a", client6, server6)
	for range 2 {
		o := <-outcomes
		if o.err != nil || o.records == 0 {
			t.Errorf("%s: %d records, then %v", o.way, o.records, o.err)
		}
		t.Logf("%s: %.0f Mb/s", o.way, float64(o.records)*recordSize*8/1e6/time.Since(begun).Seconds())
	}
	for _, h := range []*host{p.a, p.b} {
		if s := h.show("net0"); s.Stats.RxFrameErrors > 0 || s.Reader.ProtocolErrors > 0 || s.Reader.Epochs != 1 {
			t.Errorf("in=%s: %+v, reader %+v; want a reader that met nothing wrong", s.In, s.Stats, s.Reader)
		}
	}
}

// With offload=off every packet is seen as it is in the channel. With
// offload=on consecutive segments are merged, as network cards do it, and only
// what is merged has a checksum that says nothing.
func TestTcpdumpSeesCorrectPackets(t *testing.T) {
	for _, offload := range []string{"on", "off"} {
		t.Run("offload="+offload, func(t *testing.T) {
			begin(t)
			p := newPair(t, "net_hdr", "offload="+offload)
			p.up()
			testCapture(t, p, offload == "on")
		})
	}
}

// Packets as tcpdump -vvv prints them.
var (
	captured      = regexp.MustCompile(`(?m)^\d\d:.*(\n    .*)*`)
	capturedWrong = regexp.MustCompile(`\b(bad|wrong|incorrect|truncated|unknown)\b|\[\|`)
	capturedTCP   = regexp.MustCompile(`\bcksum 0x[0-9a-f]+ \((correct|incorrect -> 0x[0-9a-f]+)\), .* length (\d+)`)
)

func testCapture(t *testing.T, p *pair, merged bool) {
	t.Helper()
	capture := startCapture(t, p.b, "net0")
	newPinger(t, p.a, addrA, addrB).echo(content(1, 1000))
	newPinger(t, p.a, addrA6, addrB6).echo(content(2, 1001))
	datagrams(t, listenUDP(t, p.a, addrA), listenUDP(t, p.b, addrB), 100, 1472, 3000)
	datagrams(t, listenUDP(t, p.a, addrA6), listenUDP(t, p.b, addrB6), 101, 1452, 3001)
	const records = 8
	for _, addr := range []string{addrB, addrB6} {
		client, server := connect(t, p.a, p.b, addr)
		if _, err := stream(client, server, func(sent int) bool { return sent < records }); err != nil {
			t.Fatal(err)
		}
	}
	last := content(900, 500) // from a place of the noise where no other is
	newPinger(t, p.a, addrA, addrB).echo(last)
	text := capture.stop(last)

	carried := 0
	for _, packet := range captured.FindAllString(text, -1) {
		tcp := capturedTCP.FindStringSubmatch(packet)
		if tcp != nil {
			n, _ := strconv.Atoi(tcp[2]) // the expression takes digits only
			carried += n
			if merged && n > 1500 {
				packet = strings.Replace(packet, tcp[1], "", 1)
			} else if n > 1500 {
				t.Errorf("merged: %s", packet)
			}
		}
		if capturedWrong.MatchString(packet) {
			t.Errorf("tcpdump says: %s", packet)
		}
	}
	if want := 2 * records * recordSize; carried < want { // more if something was sent again
		t.Errorf("TCP packets carry %d bytes, want %d", carried, want)
	}
	for what, count := range map[string]int{
		`ICMP echo request, id \d+, seq 1, length 1008`:                 1,
		`payload length: 1009\) .*\[icmp6 sum ok\] ICMP6, echo request`: 1,
		`\[udp sum ok\] UDP, length (100|1472|101|1452)\n`:              4,
		`proto UDP \(17\), length 1500\)`:                               1 + 2, // and the first two pieces of 3000 bytes
		`frag \(0x[0-9a-f]+:\d+\|1448\)`:                                2,     // of 3001 bytes
	} {
		if got := len(regexp.MustCompile(what).FindAllString(text, -1)); got != count {
			t.Errorf("%d packets match %s, want %d", got, what, count)
		}
	}
	if t.Failed() {
		t.Logf("%.4000s", text)
	}
}

// capture is a running tcpdump.
type capture struct {
	t    *testing.T
	h    *host
	cmd  *testnet.Cmd
	log  *testnet.Buffer
	file string
}

// startCapture captures what arrives on an interface.
func startCapture(t *testing.T, h *host, name string) *capture {
	t.Helper()
	c := &capture{t: t, h: h, log: &testnet.Buffer{}, file: filepath.Join(t.TempDir(), "capture.pcap")}
	c.cmd = h.Command(testnet.Need(t, "tcpdump"), "-i", name, "-Q", "in", "-B", "65536", "-U", "-Z", "root", "-w", c.file)
	c.cmd.Stderr = c.log
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "tcpdump listens", func() bool { return strings.Contains(c.log.String(), "listening on") })
	return c
}

// stop ends the capture when a packet with these bytes is in it, and returns it
// decoded, with all sums checked.
func (c *capture) stop(last []byte) string {
	c.t.Helper()
	// When it ends, tcpdump forgets what it has not read from the kernel yet.
	testnet.Eventually(c.t, "the last packet is captured", func() bool {
		file, err := os.ReadFile(c.file)
		return err == nil && bytes.Contains(file, last)
	})
	_ = c.cmd.Process.Signal(unix.SIGINT)
	if err := c.cmd.Wait(); err != nil || !strings.Contains(c.log.String(), "\n0 packets dropped by kernel") {
		c.t.Fatalf("tcpdump: %v: %s", err, c.log)
	}
	return c.h.MustRun("tcpdump", "-r", c.file, "-n", "-vvv")
}
