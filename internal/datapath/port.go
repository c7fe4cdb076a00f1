package datapath

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/offload"
)

// PortConfig is what a Port is made of.
type PortConfig struct {
	Device Device
	// Marks is nil where received packets cannot be given marks.
	Marks IncomingMarks
	// Skip is how many bytes, all zero, the device wants before each packet.
	Skip int
	// Merge: these bytes are a virtio_net_hdr, and the kernel takes packets that
	// were merged.
	Merge bool
	Log   *slog.Logger
}

// Port is the receiving side of a device: the parent's, or a child's.
type Port struct {
	cfg PortConfig

	longest atomic.Int64 // packet that the interface's MTU allows to be sent
	unmerge atomic.Bool  // the kernel refused a merged packet

	mu    sync.Mutex // one packet at a time: its mark lies beside it
	count RxCounters
	parts [][]byte // of the packet under way
	vnet  [offload.HeaderSize]byte

	// attached: Marks are in use. They are from the first mark on that is not 0:
	// to attach them takes the kernel some 10 ms, under its lock for all
	// interfaces, and most never carry a mark.
	attached bool

	receipt receipt
}

// RxCounters count what came out of the in-channel for one device.
type RxCounters struct {
	Packets, Bytes uint64
	Dropped        uint64
	Reasons        [NumReasons]uint64
	// Oversize counts packets that were delivered although they are longer than
	// the interface may send.
	Oversize uint64
	// Merged counts packets that were handed over together with others.
	Merged uint64
	// Unmarked counts packets that were delivered without their mark, or were
	// taken by a program before they got it.
	Unmarked uint64
}

// NewPort returns a Port.
func NewPort(cfg PortConfig) *Port {
	p := &Port{cfg: cfg}
	p.longest.Store(maxPacket)
	return p
}

// Expect sets the length of the longest packet that the interface may send, in
// bytes with its Ethernet header. An MTU limits what is sent, not what comes:
// longer packets are delivered as well, and counted.
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

// deliver hands a packet with its mark to the kernel. frame has room for Skip
// bytes before the packet.
func (p *Port) deliver(frame []byte, mark uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.write(frame, nil, mark); err != nil {
		p.drop(refusal(err))
		return
	}
	p.received(len(frame) - p.cfg.Skip)
}

// merges reports whether packets may be merged with others: the device takes that.
func (p *Port) merges() bool { return p.cfg.Merge && !p.unmerge.Load() }

// deliverMerged hands several packets of one flow and one mark to the kernel as
// one. False: it refused, and takes them one by one.
func (p *Port) deliverMerged(b *offload.Batch, mark uint32) bool {
	header, parts := b.Finish()
	p.mu.Lock()
	defer p.mu.Unlock()
	header.Encode(p.vnet[:])
	p.parts = append(append(p.parts[:0], p.vnet[:]), parts...)
	err := p.write(nil, p.parts, mark)
	if errors.Is(err, unix.EINVAL) {
		p.unmerge.Store(true)
		p.cfg.Log.Warn("received packets are not merged: the kernel refused a merged one")
		return false
	}
	n := uint64(b.Len())
	if err != nil {
		p.count.Dropped += n
		p.count.Reasons[refusal(err)] += n
		return true
	}
	p.count.Merged += n
	// parts begins with the headers, which each packet came with.
	for _, payload := range parts[1:] {
		p.received(len(parts[0]) + len(payload))
	}
	return true
}

// answer hands the kernel a packet of our own making, without a mark.
func (p *Port) answer(packet []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// An answer that cannot be given is like one that was lost on the way.
	if p.cfg.Skip == 0 {
		_ = p.write(packet, nil, 0)
		return
	}
	clear(p.vnet[:])
	p.parts = append(append(p.parts[:0], p.vnet[:]), packet)
	_ = p.write(nil, p.parts, 0)
}

func (p *Port) drop(r Reason) {
	p.count.Dropped++
	p.count.Reasons[r]++
}

// PortStatus is a Port's state at one moment.
type PortStatus struct {
	Counters RxCounters
	// Merging: packets that belong together are handed over together.
	Merging bool
	// Suspended: marks are not set, because packets are not received within their
	// writes, as with RPS.
	Suspended bool
}

// Status returns the state of now.
func (p *Port) Status() PortStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PortStatus{Counters: p.count, Suspended: p.receipt.suspended, Merging: p.merges()}
}
