package offload

import "github.com/muennet/muennet/internal/packet"

// MaxBatch is how many packets a Batch takes at most.
const MaxBatch = 64

// Batch merges consecutive packets of one flow into a super-packet, from which Segments would make the very same packets again. The
// zero value is empty and merges TCP only.
//
//	for each packet p:
//		if !b.Add(p, eth) {
//			write(b.Finish())
//			b.Reset()
//			b.Add(p, eth)
//		}
//	if b.Len() > 0 {
//		write(b.Finish())
//		b.Reset()
//	}
type Batch struct {
	// UDP: merge UDP datagrams, too. Only for a device that was found to take GSOUDPL4.
	UDP bool

	open     bool // another packet may fit
	verified bool // the checksums of the first packet are good
	n        int
	bytes    int // length of the super-packet
	size     int // payload of the first packet: no other may have more
	seq      uint32
	id       uint16
	flow     flow

	header  [ethHeader + ip6Header + 60]byte // of the super-packet; 60 is the longest TCP header
	packets [MaxBatch][]byte
	parts   [1 + MaxBatch][]byte
}

// Add adds p, which begins with an Ethernet header if eth is set, and returns true; or it returns false because p does not continue
// what is there. An empty Batch takes any packet: one that cannot be merged stays the only one. p belongs to the caller and must stay
// as it is until Reset. Does not allocate.
//
// Checksums are verified when the second packet comes; those of a packet that stays alone are left to the kernel.
func (b *Batch) Add(p []byte, eth bool) bool {
	if b.n == 0 {
		b.begin(p, eth)
		return true
	}
	if !b.open || b.n == MaxBatch || eth != b.flow.eth {
		return false
	}
	f, first := &b.flow, b.packets[0]
	payload := len(p) - f.headers
	if payload <= 0 || payload > b.size || b.bytes+payload-f.ip > maxIP || !f.continues(first, p, b.seq, b.id) {
		return false
	}
	if !b.verified {
		if !f.verify(first) {
			b.open = false
			return false
		}
		b.verified = true
	}
	if !f.verify(p) {
		return false
	}
	b.packets[b.n] = p
	b.n++
	b.bytes += payload
	b.seq += uint32(payload)
	b.id++
	// A shorter one can only be the last, and so can one whose flags say that something ends.
	b.open = payload == b.size && !b.ends(p)
	return true
}

// begin takes the first packet.
func (b *Batch) begin(p []byte, eth bool) {
	b.packets[0], b.n, b.bytes, b.verified = p, 1, len(p), false
	f := &b.flow
	b.open = f.set(p, eth, b.UDP) && !b.ends(p)
	if !b.open {
		return
	}
	b.size = len(p) - f.headers
	if f.ipv4 {
		b.id = be16(p[f.ip:], ip4ID) + 1
	}
	if f.tcp {
		b.seq = be32(p[f.transport:], tcpSeq) + uint32(b.size)
	}
}

// ends tells whether p is the last segment its sender wanted to be merged.
func (b *Batch) ends(p []byte) bool {
	return b.flow.tcp && p[b.flow.transport+tcpFlags]&(fin|psh) != 0
}

// Len returns how many packets were added since Reset.
func (b *Batch) Len() int { return b.n }

// Bytes returns the length of what Finish would return in bytes, without the virtio header.
func (b *Batch) Bytes() int { return b.bytes }

// Packets returns the packets as they were added: what to write where the kernel refuses the super-packet. Valid until Reset.
func (b *Batch) Packets() [][]byte { return b.packets[:b.n] }

// Finish returns what to write to the device, in one call: the virtio header and the parts of one packet, at most 65. They are valid
// until Reset or the next Finish, and refer to the packets that were added, none of which is changed. A single packet comes as it is
// with an empty header: the kernel verifies its checksum where it is received, and passes it on where it is forwarded. Without any
// packet there are no parts. Does not allocate.
func (b *Batch) Finish() (Header, [][]byte) {
	if b.n < 2 {
		return Header{}, b.packets[:b.n]
	}
	f, first, last := &b.flow, b.packets[0], b.packets[b.n-1]
	header := b.header[:copy(b.header[:], first[:f.headers])]
	h := Header{
		Flags: NeedsCsum, HdrLen: uint16(f.headers), GSOSize: uint16(b.size),
		CsumStart: uint16(f.transport), CsumOffset: udpCheck, GSOType: GSOUDPL4,
	}
	ip, transport := header[f.ip:f.transport], header[f.transport:]
	if f.ipv4 {
		put16(ip, ip4Length, uint16(b.bytes-f.ip))
		put16(ip, ip4Check, 0)
		put16(ip, ip4Check, ^uint16(packet.Sum(ip, 0)))
	} else {
		put16(ip, ip6Length, uint16(b.bytes-f.transport))
	}
	length := b.bytes - f.transport
	if f.tcp {
		h.CsumOffset, h.GSOType = tcpCheck, GSOTCPv6
		if f.ipv4 {
			h.GSOType = GSOTCPv4
		}
		transport[tcpFlags] = last[f.transport+tcpFlags]
	} else {
		put16(transport, udpLength, uint16(length))
	}
	put16(transport, int(h.CsumOffset), fold(f.pseudo+uint32(length)))
	b.parts[0] = header
	for i, p := range b.packets[:b.n] {
		b.parts[1+i] = p[f.headers:]
	}
	return h, b.parts[:1+b.n]
}

// Reset makes the Batch empty.
func (b *Batch) Reset() { b.n, b.bytes, b.open = 0, 0, false }
