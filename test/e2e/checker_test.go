package e2e

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/shmstream"
)

// wire is a packet as it was found in an element.
type wire struct {
	mark     uint32
	ip       []byte
	protocol byte
	l4       []byte // TCP or UDP; nil in a fragment
}

// onesSum adds 16 bits at a time (RFC 1071 section 1).
func onesSum(sum int, b []byte) int {
	for i, v := range b {
		sum += int(v) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return sum
}

// inspect verifies an element the way a peer would that believes nothing: all
// of its fields, lengths and checksums, and that the rest of it is zero.
func inspect(mode string, mtu int, elem []byte) (w wire, err error) {
	var data, rest []byte
	if mode == "net_hdr" {
		n := int(binary.LittleEndian.Uint16(elem[4:]))
		if n > mtu || n < 20 {
			return w, fmt.Errorf("packet of %d bytes, the MTU is %d", n, mtu)
		}
		w.mark, data, rest = binary.LittleEndian.Uint32(elem), elem[8:8+n], elem[8+n:]
		version, class := data[0]>>4, data[1]
		if version == 6 {
			class = data[0]<<4 | data[1]>>4
		}
		if elem[6] != map[byte]byte{4: 4, 6: 41}[version] || elem[7] != class>>2 {
			return w, fmt.Errorf("header %x before a packet that begins with %x", elem[:8], data[:2])
		}
	} else {
		n := int(binary.LittleEndian.Uint16(elem[len(elem)-2:]))
		if n < headerSize || n > mtu+headerSize {
			return w, fmt.Errorf("frame of %d bytes, the MTU is %d", n, mtu)
		}
		data, rest = elem[headerSize:n], elem[n:len(elem)-2]
		switch typ := binary.BigEndian.Uint16(elem[12:]); {
		case typ == unix.ETH_P_ARP:
			return w, nil
		case typ == unix.ETH_P_IP && data[0]>>4 == 4, typ == unix.ETH_P_IPV6 && data[0]>>4 == 6:
		default:
			return w, fmt.Errorf("ethertype %#x before a packet that begins with %#x", typ, data[0])
		}
	}
	for _, b := range rest {
		if b != 0 {
			return w, fmt.Errorf("%d bytes of a packet, then %x", len(data), rest)
		}
	}
	w.ip = data
	return w, w.inspect()
}

// inspect verifies the packet.
func (w *wire) inspect() error {
	p := w.ip
	pseudo := 0
	var payload []byte
	fragment := false
	if p[0]>>4 == 4 {
		header := int(p[0]&15) * 4
		if n := int(binary.BigEndian.Uint16(p[2:])); n != len(p) || header < 20 || header > n {
			return fmt.Errorf("IPv4 header says %d bytes, header %d; there are %d", n, header, len(p))
		}
		if sum := onesSum(0, p[:header]); sum != 0xffff {
			return fmt.Errorf("IPv4 header sum %#x: %x", sum, p[:header])
		}
		w.protocol, payload = p[9], p[header:]
		fragment = binary.BigEndian.Uint16(p[6:])&0x3fff != 0
		pseudo = onesSum(0, p[12:20])
	} else {
		if n := int(binary.BigEndian.Uint16(p[4:])); n != len(p)-40 {
			return fmt.Errorf("IPv6 header says %d bytes of payload, there are %d", n, len(p)-40)
		}
		w.protocol, payload = p[6], p[40:]
		if w.protocol == 0 && len(payload) > 8 { // multicast listener reports have hop-by-hop options
			w.protocol, payload = payload[0], payload[8:]
		}
		fragment = w.protocol == unix.IPPROTO_FRAGMENT
		pseudo = onesSum(0, p[8:40])
	}
	if fragment {
		return nil // the rest of what is summed up is in other elements
	}
	switch w.protocol {
	case unix.IPPROTO_TCP, unix.IPPROTO_ICMPV6:
	case unix.IPPROTO_UDP:
		if n := int(binary.BigEndian.Uint16(payload[4:])); n != len(payload) {
			return fmt.Errorf("UDP header says %d bytes, there are %d", n, len(payload))
		}
	case unix.IPPROTO_ICMP:
		pseudo = -1
	default:
		return nil
	}
	sum := onesSum(0, payload)
	if pseudo >= 0 {
		sum = onesSum(pseudo+int(w.protocol)+len(payload), payload)
	}
	if sum != 0xffff {
		return fmt.Errorf("protocol %d, %d bytes: sum %#x", w.protocol, len(p), sum)
	}
	if w.protocol == unix.IPPROTO_TCP || w.protocol == unix.IPPROTO_UDP {
		w.l4 = payload
	}
	return nil
}

// checker reads a channel beside its reader and inspects every element that it
// is fast enough for.
type checker struct {
	t       *testing.T
	r       *shmstream.Reader
	mode    string
	own     func(w wire) error // one more condition
	packets [256]atomic.Int64  // inspected, by protocol
	full    atomic.Int64       // those that are as long as the MTU allows
	stop    atomic.Bool
	group   sync.WaitGroup
}

// startChecker starts a checker, which ends with end or with the test. own may
// be nil.
func startChecker(t *testing.T, h *host, name, mode string, own func(w wire) error) *checker {
	t.Helper()
	channel, err := region.Open(h.channels, name, region.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	r, err := shmstream.NewReader(channel.Bytes(), shmstream.Expect{Protocol: 0x12, MinSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{t: t, r: r, mode: mode, own: own}
	c.group.Go(func() {
		defer channel.Close()
		c.run()
	})
	t.Cleanup(c.end)
	return c
}

func (c *checker) run() {
	buf := make([]byte, shmstream.MaxElementSize)
	bad := 0
	for {
		n, result := c.r.Read(buf)
		switch result {
		case shmstream.Success:
		case shmstream.NoData, shmstream.Inactive:
			if c.stop.Load() {
				return
			}
			unix.Nanosleep(&unix.Timespec{Nsec: 50_000}, nil)
			continue
		case shmstream.EpochChanged, shmstream.Overrun:
			continue
		default:
			c.t.Errorf("reading the channel: %v %s", result, c.r.Reason())
			return
		}
		mtu := n - 8
		if c.mode == "eth_dev" {
			mtu = n - headerSize - 2
		}
		w, err := inspect(c.mode, mtu, buf[:n])
		if err == nil && c.own != nil {
			err = c.own(w)
		}
		if err != nil {
			if bad++; bad <= 5 {
				c.t.Errorf("element %d: %v", c.r.Position()-1, err)
			}
		}
		c.packets[w.protocol].Add(1)
		if len(w.ip) == mtu {
			c.full.Add(1)
		}
	}
}

// end returns when all that was in the channel has been inspected.
func (c *checker) end() {
	c.stop.Store(true)
	c.group.Wait()
}

// inspected ends the checker and fails unless it saw packets of these
// protocols. However slow it is, the last half of a ring is left to it: what
// the test sent last.
func (c *checker) inspected(protocols ...byte) {
	c.t.Helper()
	c.end()
	for _, p := range protocols {
		n := c.packets[p].Load()
		if n < 5 {
			c.t.Errorf("only %d packets of protocol %d were inspected", n, p)
		}
		c.t.Logf("protocol %d: %d packets inspected", p, n)
	}
	if c.full.Load() == 0 {
		c.t.Error("no inspected packet was as long as the MTU")
	}
}

// The checker finds what it is there for.
func TestCheckerFinds(t *testing.T) {
	packet := udp("10.0.0.1", "10.0.0.2", []byte("payload"))
	good := make([]byte, 108)
	copy(good[8:], packet)
	good[4], good[6] = byte(len(packet)), 4
	if _, err := inspect("net_hdr", 100, good); err != nil {
		t.Fatal(err)
	}
	for at := 4; at < len(good); at++ {
		bad := append([]byte{}, good...)
		bad[at] ^= 0x10
		if w, err := inspect("net_hdr", 100, bad); err == nil {
			t.Errorf("a bit of byte %d is wrong, and nothing is found: %x", at, w.ip)
		}
	}
}
