package datapath

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/offload"
)

// IncomingMarks puts a mark on the packet that is about to be written to a
// device: skbmark.Incoming, or a test.
type IncomingMarks interface {
	// Attach is called once, before all others. When it returns, every packet
	// that was written before has been received. With an error there are no
	// marks on received packets; whoever implements it says so.
	Attach() error
	// Arm gives packets that are received from now on this mark; 0 leaves them
	// as they are.
	Arm(mark uint32)
	// Seen reports whether one was received since Arm, or nothing is armed.
	Seen() bool
	// Disarm takes Arm back.
	Disarm()
}

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

	// async: a packet came out of Write before it had been received (somebody
	// has set RPS on the device). Others may be on their way since then, and any
	// of them would take the mark of one that is being written: none is set
	// until packets have been received within their writes for a while.
	async bool
	since time.Time // when the last one was not
}

// calm is how long every packet has to be received within its write until marks
// are set again. Whatever the kernel had put aside before has been received then.
const calm = time.Second

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
	// Unmarked counts packets that were delivered without their mark.
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

// hand gives the device a packet: frame, or its parts.
func (p *Port) hand(frame []byte, parts [][]byte) (err error) {
	if parts != nil {
		_, err = p.cfg.Device.Writev(parts)
	} else {
		_, err = p.cfg.Device.Write(frame)
	}
	return err
}

// Prepare takes beforehand the time that the first packet with a mark would.
func (p *Port) Prepare() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attach()
}

// attach makes use of the marks, if they can be had. The caller holds the lock.
func (p *Port) attach() {
	if p.attached || p.cfg.Marks == nil {
		return
	}
	if p.cfg.Marks.Attach() != nil {
		p.cfg.Marks = nil
		return
	}
	p.attached = true
}

// write hands a packet to the kernel. One without a mark is armed for as well
// once marks are in use: only so it is noticed if it is still on its way when the
// next one is written, whose mark it would take.
func (p *Port) write(frame []byte, parts [][]byte, mark uint32) error {
	if mark != 0 {
		p.attach()
	}
	if !p.attached || p.async {
		return p.writeUnmarked(frame, parts, mark)
	}
	marks := p.cfg.Marks
	marks.Arm(mark)
	err := p.hand(frame, parts)
	seen := marks.Seen()
	marks.Disarm()
	if err == nil && !seen {
		p.async, p.since = true, time.Now()
		p.cfg.Log.Warn("marks are not set on received packets: the interface receives asynchronously, as with RPS (rps_cpus)")
		if mark != 0 {
			p.count.Unmarked++
		}
	}
	return err
}

// writeUnmarked hands a packet to the kernel without its mark.
func (p *Port) writeUnmarked(frame []byte, parts [][]byte, mark uint32) error {
	if mark != 0 {
		p.count.Unmarked++
	}
	if !p.attached {
		return p.hand(frame, parts)
	}
	marks := p.cfg.Marks
	late := marks.Seen() // of what was armed behind the previous packet
	marks.Arm(0)
	err := p.hand(frame, parts)
	seen := marks.Seen()
	marks.Arm(0)
	switch now := time.Now(); {
	case late || (err == nil && !seen):
		p.since = now
	case err == nil && now.Sub(p.since) >= calm:
		marks.Disarm()
		p.async = false
		p.cfg.Log.Info("marks are set on received packets again")
	}
	return err
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
	// Async: marks are not set because the interface receives asynchronously.
	Async bool
}

// Status returns the state of now.
func (p *Port) Status() PortStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PortStatus{Counters: p.count, Async: p.async, Merging: p.merges()}
}
