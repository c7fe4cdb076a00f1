package datapath

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/offload"
)

// PortConfig configures a Port.
type PortConfig struct {
	Device Device
	// Marks sets the marks of received packets; nil: they have none.
	Marks IncomingMarks
	// Skip is how many bytes, all zero, the device wants before each packet.
	Skip int
	// Merge: these bytes are a virtio_net_hdr, and the kernel takes merged
	// packets.
	Merge bool
	Log   *slog.Logger
}

// Port is the receiving side of a device, the parent's or a child's.
type Port struct {
	cfg PortConfig

	longest atomic.Int64 // packet that the interface may send, in bytes
	unmerge atomic.Bool  // the kernel has refused a merged packet

	mu    sync.Mutex // held for one packet at a time, because of its mark
	count RxCounters
	parts [][]byte // of the present packet
	vnet  [offload.HeaderSize]byte

	// attached: cfg.Marks are in use, from the first packet with a mark on.
	// Attaching them takes the kernel some 10 ms under its lock for all
	// interfaces, and most interfaces never carry a mark.
	attached bool

	receipt receipt
}

// RxCounters count what came out of the in-channel for one device.
type RxCounters struct {
	Packets, Bytes uint64
	Dropped        uint64
	Reasons        [NumReasons]uint64
	// Oversize counts delivered packets that are longer than the interface may
	// send.
	Oversize uint64
	// Merged counts packets that were delivered as part of a merged one.
	Merged uint64
	// Unmarked counts packets that were delivered without their mark, or that
	// another program took before they got it.
	Unmarked uint64
}

// NewPort returns a Port.
func NewPort(cfg PortConfig) *Port {
	p := &Port{cfg: cfg}
	p.longest.Store(maxPacket)
	return p
}

// Expect sets the length of the longest packet that the interface may send, in
// bytes with its Ethernet header. An MTU limits what is sent, not what is
// received: longer packets are delivered and counted.
func (p *Port) Expect(n int) { p.longest.Store(int64(n)) }

// received counts a packet of size bytes that the kernel took. The caller holds
// the lock.
func (p *Port) received(size int) {
	p.count.Packets++
	p.count.Bytes += uint64(size)
	if size > int(p.longest.Load()) {
		p.count.Oversize++
	}
}

// deliver hands a packet with its mark to the kernel. frame begins with Skip
// bytes.
func (p *Port) deliver(frame []byte, mark uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.write(frame, nil, mark); err != nil {
		p.drop(refusal(err), 1)
		return
	}
	p.received(len(frame) - p.cfg.Skip)
}

// merges reports whether the device takes merged packets.
func (p *Port) merges() bool { return p.cfg.Merge && !p.unmerge.Load() }

// deliverMerged hands packets of one flow and one mark to the kernel as one. If
// it returns false, the kernel takes them only one by one.
func (p *Port) deliverMerged(b *offload.Batch, mark uint32) bool {
	header, parts := b.Finish()
	p.mu.Lock()
	defer p.mu.Unlock()
	header.Encode(p.vnet[:])
	p.parts = append(append(p.parts[:0], p.vnet[:]), parts...)
	err := p.write(nil, p.parts, mark)
	if errors.Is(err, unix.EINVAL) {
		p.unmerge.Store(true)
		p.cfg.Log.Warn("kernel refused a merged packet: received packets are not merged any more")
		return false
	}
	n := uint64(b.Len())
	if err != nil {
		p.drop(refusal(err), n)
		return true
	}
	p.count.Merged += n
	// parts begins with the headers, which each packet had.
	for _, payload := range parts[1:] {
		p.received(len(parts[0]) + len(payload))
	}
	return true
}

// answer hands the kernel a packet of our own, without a mark. An answer that
// the kernel does not take counts as lost on the way.
func (p *Port) answer(packet []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cfg.Skip == 0 {
		_ = p.write(packet, nil, 0)
		return
	}
	clear(p.vnet[:])
	p.parts = append(append(p.parts[:0], p.vnet[:]), packet)
	_ = p.write(nil, p.parts, 0)
}

// drop counts n packets that the kernel did not take. The caller holds the
// lock.
func (p *Port) drop(r Reason, n uint64) {
	p.count.Dropped += n
	p.count.Reasons[r] += n
}

// PortStatus is a Port's state at one moment.
type PortStatus struct {
	Counters RxCounters
	// Merging: packets of one flow are merged.
	Merging bool
	// Suspended: marks are not set, because packets are received after their
	// writes, as with RPS.
	Suspended bool
}

// Status returns the present state.
func (p *Port) Status() PortStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PortStatus{Counters: p.count, Suspended: p.receipt.suspended, Merging: p.merges()}
}
