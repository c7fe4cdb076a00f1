package offload

import "github.com/muennet/muennet/internal/checksum"

// MaxBatch is the maximum number of packets in a Batch.
const MaxBatch = 64

// Batch merges consecutive packets of one flow into a super-packet, which
// Segments would split into the same packets again. The zero value is empty and
// merges only TCP.
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
	// UDP enables merging of UDP datagrams. Set it only if the device
	// accepts GSOUDPL4.
	UDP bool

	open     bool // another packet may be added
	verified bool // the checksums of the first packet are correct
	n        int
	bytes    int // length of the super-packet
	size     int // payload of the first packet, the maximum for the others
	seq      uint32
	id       uint16
	flow     flow

	header  [ethHeader + ip6Header + 60]byte // of the super-packet; 60 is the longest TCP header
	packets [MaxBatch][]byte
	parts   [1 + MaxBatch][]byte
}

// Add adds p, which begins with an Ethernet header if eth is set. It returns
// false if p does not continue the packets already added. An empty Batch
// accepts any packet; a packet that cannot be merged stays the only one. p
// belongs to the caller and must not change until Reset. Add does not allocate.
//
// Checksums are verified only when a second packet arrives: those of a single
// packet are left to the kernel.
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
	// A shorter packet must be the last, and so must one with PSH or FIN.
	b.open = payload == b.size && !b.ends(p)
	return true
}

// begin adds the first packet.
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

// ends reports whether the sender wants no packet merged after p.
func (b *Batch) ends(p []byte) bool {
	return b.flow.tcp && p[b.flow.transport+tcpFlags]&(fin|psh) != 0
}

// Len returns the number of packets added since Reset.
func (b *Batch) Len() int { return b.n }

// Bytes returns the length of the result of Finish in bytes, without the virtio
// header.
func (b *Batch) Bytes() int { return b.bytes }

// Packets returns the packets in the order they were added, for writing them
// one by one if the kernel refuses the super-packet. Valid until Reset.
func (b *Batch) Packets() [][]byte { return b.packets[:b.n] }

// Finish returns what to write to the device in one call: the virtio header and
// the parts of one packet, at most 65. They are valid until Reset or the next
// Finish, and refer to the added packets, which stay unchanged. A single packet
// is returned unchanged with an empty header: the kernel verifies its checksum
// on local delivery, and passes it on when forwarding. An empty Batch has no
// parts. Finish does not allocate.
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
		put16(ip, ip4Check, ^uint16(checksum.Sum(ip, 0)))
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

// Reset empties the Batch.
func (b *Batch) Reset() { b.n, b.bytes, b.open = 0, 0, false }
