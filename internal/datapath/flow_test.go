package datapath

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/offload"
)

// flow makes the packets of one TCP or UDP flow.
type flow struct {
	eth, v6, udp bool
	port         uint16
	seq          uint32
	id           uint16
}

const (
	ack    = 0x10
	ackPsh = 0x18
)

// next returns the next packet, with n bytes of payload.
func (f *flow) next(n int, flags byte) []byte {
	var l4 []byte
	if f.udp {
		l4 = binary.BigEndian.AppendUint16(nil, f.port)
		l4 = binary.BigEndian.AppendUint16(l4, 9)
		l4 = binary.BigEndian.AppendUint16(l4, uint16(8+n))
		l4 = append(l4, 0, 0)
	} else {
		l4 = binary.BigEndian.AppendUint16(nil, f.port)
		l4 = binary.BigEndian.AppendUint16(l4, 9)
		l4 = binary.BigEndian.AppendUint32(l4, f.seq)
		l4 = append(l4, 1, 2, 3, 4, 8<<4, flags, 5, 6, 0, 0, 0, 0)
		l4 = append(l4, 1, 1, 8, 10, 0, 0, 0, byte(f.port), 0, 0, 0, 7) // timestamps
	}
	for i := range n {
		l4 = append(l4, byte(f.seq+uint32(i))^byte((f.seq+uint32(i))>>8)^byte(f.port))
	}
	p := f.wrap(l4)
	f.seq += uint32(n)
	f.id++
	return p
}

// check is the offset of the checksum in the TCP or UDP header.
func (f *flow) check() int {
	if f.udp {
		return 6
	}
	return 16
}

// wrap puts headers before a TCP or UDP packet and fills in the checksums.
func (f *flow) wrap(l4 []byte) []byte {
	protocol := byte(unix.IPPROTO_TCP)
	if f.udp {
		protocol = unix.IPPROTO_UDP
	}
	var p, addresses []byte
	if f.v6 {
		p = append([]byte{0x60, 0, 0, 0, byte(len(l4) >> 8), byte(len(l4)), protocol, 64}, make([]byte, 32)...)
		p[8], p[23], p[24], p[39] = 0xfd, 1, 0xfd, 2
		addresses = p[8:40]
	} else {
		n := 20 + len(l4)
		p = []byte{0x45, 0, byte(n >> 8), byte(n), byte(f.id >> 8), byte(f.id), 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
		binary.BigEndian.PutUint16(p[10:], ^onesSum(p))
		addresses = p[12:20]
	}
	pseudo := append(append([]byte{}, addresses...), 0, 0, byte(len(l4)>>8), byte(len(l4)), 0, 0, 0, protocol)
	sum := ^onesSum(append(pseudo, l4...))
	if sum == 0 && f.udp {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(l4[f.check():], sum)
	p = append(p, l4...)
	if !f.eth {
		return p
	}
	frame := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}
	if f.v6 {
		frame[12], frame[13] = 0x86, 0xdd
	}
	return append(frame, p...)
}

// onesSum adds 16 bits at a time (RFC 1071).
func onesSum(b []byte) uint16 {
	s := 0
	for i, v := range b {
		s += int(v) << (8 * (1 - i%2))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// headers returns where TCP or UDP begin in the flow's packets, and the
// payload.
func (f *flow) headers() (transport, payload int) {
	transport = 20
	if f.v6 {
		transport = 40
	}
	if f.eth {
		transport += 14
	}
	if f.udp {
		return transport, transport + 8
	}
	return transport, transport + 32
}

// super joins packets of the flow to the frame that a device with a
// virtio_net_hdr hands over.
func (f *flow) super(packets [][]byte) []byte {
	transport, payload := f.headers()
	all := append([]byte{}, packets[0]...)
	for _, p := range packets[1:] {
		all = append(all, p[payload:]...)
	}
	if !f.udp {
		all[transport+13] = packets[len(packets)-1][transport+13]
	}
	h := offload.Header{
		Flags: offload.NeedsCsum, GSOType: offload.GSOUDPL4, HdrLen: uint16(payload),
		GSOSize: uint16(len(packets[0]) - payload), CsumStart: uint16(transport), CsumOffset: uint16(f.check()),
	}
	if !f.udp {
		if h.GSOType = offload.GSOTCPv4; f.v6 {
			h.GSOType = offload.GSOTCPv6
		}
	}
	return f.unfinished(h, all)
}

// unfinished leaves the checksum of a packet to its receiver, and puts the
// header before it that says so.
func (f *flow) unfinished(h offload.Header, p []byte) []byte {
	transport, _ := f.headers()
	ip, l4 := p[:transport], p[transport:]
	if f.eth {
		ip = ip[14:]
	}
	protocol := byte(unix.IPPROTO_TCP)
	if f.udp {
		protocol = unix.IPPROTO_UDP
		binary.BigEndian.PutUint16(l4[4:], uint16(len(l4)))
	}
	addresses := ip[8:]
	if f.v6 {
		binary.BigEndian.PutUint16(ip[4:], uint16(len(l4)))
	} else {
		addresses = ip[12:]
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+len(l4)))
		ip[10], ip[11] = 0, 0
		binary.BigEndian.PutUint16(ip[10:], ^onesSum(ip))
	}
	pseudo := append(append([]byte{}, addresses...), 0, 0, byte(len(l4)>>8), byte(len(l4)), 0, 0, 0, protocol)
	binary.BigEndian.PutUint16(l4[f.check():], onesSum(pseudo))
	frame := make([]byte, offload.HeaderSize)
	h.Encode(frame)
	return append(frame, p...)
}

// apart returns the packets in a frame that was written to a device with a
// virtio_net_hdr.
func apart(t testing.TB, frame []byte, eth bool) (packets [][]byte) {
	t.Helper()
	var h offload.Header
	h.Decode(frame)
	var s offload.Segments
	if fault := s.Init(h, frame[offload.HeaderSize:], eth); fault != offload.OK {
		t.Fatalf("a frame with header %+v cannot be cut: %v", h, fault)
	}
	for range s.Count() {
		p := make([]byte, s.MaxLen())
		packets = append(packets, p[:s.Next(p)])
	}
	return packets
}

// each runs f for flows of all kinds.
func eachFlow(t *testing.T, run func(t *testing.T, f flow)) {
	for name, f := range map[string]flow{
		"TCP over IPv4":           {},
		"TCP over IPv6":           {v6: true},
		"UDP over IPv4":           {udp: true},
		"UDP over IPv6":           {udp: true, v6: true},
		"TCP over Ethernet":       {eth: true},
		"TCP over IPv6, Ethernet": {eth: true, v6: true},
		"UDP over Ethernet":       {eth: true, udp: true},
	} {
		f.port, f.seq, f.id = 0x3039, 0xfffff000, 0xfff0 // both wrap
		t.Run(name, func(t *testing.T) { run(t, f) })
	}
}
