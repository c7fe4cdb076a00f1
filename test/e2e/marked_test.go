package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/packet"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// lone is a host with net0 whose peer is the test.
type lone struct {
	*host
	name   string // that net0 has now
	params []string
	in     *peer       // writes what net0 receives
	out    *outChannel // reads what net0 sends
}

// newLone starts a quiet host with net0, up and without addresses.
func newLone(t *testing.T, params ...string) *lone {
	t.Helper()
	return startLone(t, append([]string{"name=net0", "in=ba", "out=ab", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12"}, params...))
}

// newSecond is newLone with net0 as the second interface of the process.
func newSecond(t *testing.T) *lone {
	t.Helper()
	return startLone(t, []string{"name=first,net0", "in=,ba", "out=first,ab", "flags=net_hdr,net_hdr", "reader_protocol=,12", "writer_protocol=12,12"})
}

func startLone(t *testing.T, params []string) *lone {
	t.Helper()
	dir := makeChannels(t, "ab", "ba", "first")
	l := &lone{host: newHost(t, dir), name: "net0", in: newPeer(t, dir, "ba"), out: newOutChannel(t, dir, "ab"), params: params}
	l.Quiet()
	l.host.start(l.params...)
	l.ip("link set net0 up")
	l.in.start(0x12, element.NetHdr.Size(1500))
	l.connected()
	return l
}

// connected waits until the host follows the test's writer.
func (l *lone) connected() {
	l.t.Helper()
	epoch := fmt.Sprintf("%#x", uint64(l.in.Epoch()))
	l.awaitShow(l.name, "the peer is active", func(s api.Interface) bool {
		return s.Reader.Peer == "active" && s.Reader.Epoch == epoch && s.Writer.Enabled
	})
}

// child adds a child with marks to net0 and brings it up, with an address.
func (h *host) child(name, address string, marks ...uint32) {
	h.t.Helper()
	h.must("cfg", "add_child", "net0", name)
	for _, mark := range marks {
		h.must("cfg", "add_mark", name, fmt.Sprint(mark))
	}
	h.Up(name, address)
}

// outChannel is the far end of an out-channel.
type outChannel struct {
	t   *testing.T
	r   *shmstream.Reader
	buf []byte
}

func newOutChannel(t *testing.T, channels, name string) *outChannel {
	t.Helper()
	r, err := region.Open(channels, name, region.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	reader, err := shmstream.NewReader(r.Bytes(), shmstream.Expect{Protocol: 0x12, MinSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	return &outChannel{t: t, r: reader, buf: make([]byte, shmstream.MaxElementSize)}
}

// sent is an element of net_hdr mode as it lies in the channel.
type sent struct {
	mark uint32
	qos  byte
	data []byte // valid until the next element is read
}

// try returns the next element if there is one.
func (c *outChannel) try() (e sent, ok bool) {
	c.t.Helper()
	for {
		n, result := c.r.Read(c.buf)
		switch result {
		case shmstream.Success:
			slot := c.buf[:n]
			length := int(binary.LittleEndian.Uint16(slot[4:]))
			if 8+length > n {
				c.t.Fatalf("an element of %d bytes says that its packet has %d", n, length)
			}
			if want := map[byte]byte{4: 4, 6: 41}[slot[8]>>4]; slot[6] != want {
				c.t.Fatalf("protocol %d in front of a packet that begins with %#x", slot[6], slot[8])
			}
			return sent{binary.LittleEndian.Uint32(slot), slot[7], slot[8 : 8+length]}, true
		case shmstream.EpochChanged:
		case shmstream.NoData, shmstream.Inactive:
			return sent{}, false
		default:
			c.t.Fatalf("reading the out-channel: %v %s", result, c.r.Reason())
		}
	}
}

// next waits for the next element.
func (c *outChannel) next() (e sent) {
	c.t.Helper()
	var ok bool
	testnet.Eventually(c.t, "an element in the out-channel", func() bool { e, ok = c.try(); return ok })
	return e
}

// datagramPort is the UDP port of these tests.
const datagramPort = 4000

// markSocket is a UDP socket in a namespace that sends with any mark and tells
// the mark of what it receives.
type markSocket struct {
	t    testing.TB
	fd   int
	to   unix.Sockaddr
	mark uint32
	buf  [1 << 16]byte
	oob  [256]byte
}

// soRcvmark is SO_RCVMARK of include/uapi/asm-generic/socket.h.
const soRcvmark = 75

// newMarkSocket opens a socket whose packets leave through an interface, for an
// address. It is closed when the test ends.
func newMarkSocket(t testing.TB, ns *testnet.NS, device, to string) *markSocket {
	t.Helper()
	s := &markSocket{t: t}
	address := netip.MustParseAddr(to)
	var family int
	var here unix.Sockaddr
	if address.Is4() {
		family, here = unix.AF_INET, &unix.SockaddrInet4{Port: datagramPort}
		s.to = &unix.SockaddrInet4{Port: datagramPort, Addr: address.As4()}
	} else {
		family, here = unix.AF_INET6, &unix.SockaddrInet6{Port: datagramPort}
		s.to = &unix.SockaddrInet6{Port: datagramPort, Addr: address.As16()}
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ns.Do(func() {
		var err error
		s.fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		check(err)
		t.Cleanup(s.close)
		check(unix.BindToDevice(s.fd, device))
	})
	if family == unix.AF_INET6 {
		check(unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1))
	}
	check(unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, soRcvmark, 1))
	check(unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20))
	check(unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 16<<20))
	timeout := unix.NsecToTimeval(patience.Nanoseconds())
	check(unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout))
	check(unix.Bind(s.fd, here))
	return s
}

// close closes the socket; more calls do nothing.
func (s *markSocket) close() {
	if s.fd >= 0 {
		unix.Close(s.fd)
		s.fd = -1
	}
}

// option sets an option of the socket.
func (s *markSocket) option(level, name, value int) {
	s.t.Helper()
	if err := unix.SetsockoptInt(s.fd, level, name, value); err != nil {
		s.t.Fatal(err)
	}
}

// sendMarked sends a datagram with a mark.
func (s *markSocket) sendMarked(mark uint32, payload []byte) error {
	if mark != s.mark {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)); err != nil {
			return fmt.Errorf("set mark: %w", err)
		}
		s.mark = mark
	}
	return unix.Sendto(s.fd, payload, 0, s.to)
}

// send is sendMarked that has to succeed.
func (s *markSocket) send(mark uint32, payload []byte) {
	s.t.Helper()
	if err := s.sendMarked(mark, payload); err != nil {
		s.t.Fatalf("send a datagram of %d bytes with mark %#x: %v", len(payload), mark, err)
	}
}

// recv waits for a datagram and returns it with its mark.
func (s *markSocket) recv() (mark uint32, payload []byte, err error) {
	n, oobn, _, _, err := unix.Recvmsg(s.fd, s.buf[:], s.oob[:], 0)
	for errors.Is(err, unix.EINTR) { // the scheduler's signals
		n, oobn, _, _, err = unix.Recvmsg(s.fd, s.buf[:], s.oob[:], 0)
	}
	if err != nil {
		return 0, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(s.oob[:oobn])
	if err != nil {
		return 0, nil, err
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_MARK {
			return binary.NativeEndian.Uint32(m.Data), s.buf[:n], nil
		}
	}
	return 0, nil, fmt.Errorf("a datagram without a word about its mark")
}

// expect wants this datagram, with this mark, to be the next one.
func (s *markSocket) expect(mark uint32, payload string) {
	s.t.Helper()
	got, data, err := s.recv()
	if err != nil || got != mark || string(data) != payload {
		s.t.Fatalf("received %q with mark %#x, error %v; want %q with mark %#x", data, got, err, payload, mark)
	}
}

// udp is a packet with a datagram between two hosts.
func udp(from, to string, payload []byte) []byte {
	src, dst := netip.MustParseAddr(from), netip.MustParseAddr(to)
	var p []byte
	if src.Is4() {
		p = []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0}
		p = append(append(p, src.AsSlice()...), dst.AsSlice()...)
		binary.BigEndian.PutUint16(p[2:], uint16(20+8+len(payload)))
		binary.BigEndian.PutUint16(p[10:], packet.Checksum(p, 0))
	} else {
		p = []byte{0x60, 0, 0, 0, 0, 0, unix.IPPROTO_UDP, 64}
		p = append(append(p, src.AsSlice()...), dst.AsSlice()...)
		binary.BigEndian.PutUint16(p[4:], uint16(8+len(payload)))
	}
	head := len(p)
	p = binary.BigEndian.AppendUint16(p, datagramPort)
	p = binary.BigEndian.AppendUint16(p, datagramPort)
	p = binary.BigEndian.AppendUint16(p, uint16(8+len(payload)))
	p = append(append(p, 0, 0), payload...)
	addresses := p[12:20]
	if src.Is6() {
		addresses = p[8:40]
	}
	sum := packet.Checksum(p[head:], packet.PseudoHeader(addresses, unix.IPPROTO_UDP, len(p)-head))
	binary.BigEndian.PutUint16(p[head+6:], sum)
	return p
}

// payloadOf is that of a UDP packet as udp makes it.
func payloadOf(p []byte) []byte {
	if p[0]>>4 == 4 {
		return p[20+8:]
	}
	return p[40+8:]
}

// nft gives rules to nftables.
func (h *host) nft(rules string) {
	h.t.Helper()
	c := h.Command(testnet.Need(h.t, "nft"), "-f", "-")
	c.Stdin = strings.NewReader(rules)
	if out, err := c.CombinedOutput(); err != nil {
		h.t.Fatalf("nft: %v\n%s\n%s", err, out, rules)
	}
}

// counter returns the packets of a named nft counter of the table inet t.
func (h *host) counter(name string) (packets int) {
	h.t.Helper()
	out := h.MustRun("nft", "list", "counter", "inet", "t", name)
	_, rest, found := strings.Cut(out, "packets ")
	if _, err := fmt.Sscan(rest, &packets); !found || err != nil {
		h.t.Fatalf("nft counter %s: %s", name, out)
	}
	return packets
}

// crash ends muennet without a clean stop and starts it again.
func (l *lone) crash() {
	l.t.Helper()
	l.kill()
	l.host.start(l.params...)
	l.connected()
}

// seconds is the value of an environment variable that lengthens a test.
func seconds(t *testing.T, variable string, otherwise int) time.Duration {
	t.Helper()
	n := otherwise
	if s := os.Getenv(variable); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil || n < 1 {
			t.Fatalf("%s=%q: want a number of at least 1", variable, s)
		}
	}
	return time.Duration(n) * time.Second
}
