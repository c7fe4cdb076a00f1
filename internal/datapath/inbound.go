package datapath

import (
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/doorbell"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/shmstream"
)

// InboundConfig is what an Inbound is made of.
type InboundConfig struct {
	Device   Device
	Region   []byte // the in-channel, mapped read-only
	Format   element.Format
	Protocol uint64
	// Skip is how many bytes, all zero, the device wants before each packet.
	Skip int
	// Poll, BusyPoll and Locked: see doorbell.Config and driver.Config.
	Poll, BusyPoll time.Duration
	Locked         func() bool
	Log            *slog.Logger
	// OnPeer is called when the peer becomes active (and compatible) or stops
	// being so. It must not call back.
	OnPeer func(active bool)
	// OnFault is called when the region cannot be read any more; the forwarder
	// is paused by then. It must not block or call back.
	OnFault func(error)
}

// Peer is what the reader makes of the in-channel's writer.
type Peer uint8

// The states of a peer.
const (
	PeerInactive Peer = iota
	PeerActive
	PeerIncompatible
)

// String gives the state as `show` prints it.
func (p Peer) String() string { return [...]string{"inactive", "active", "incompatible"}[p] }

// Inbound carries what the peer writes into the in-channel to the kernel.
// It begins paused.
type Inbound struct {
	cfg      InboundConfig
	listener *doorbell.Listener

	mu     sync.Mutex
	change *sync.Cond
	want   order
	r      *shmstream.Reader
	buf    []byte
	limit  int // longest packet the interface takes
	peer   Peer
	moved  int // elements the last burst dealt with
	count  RxCounters
	quiet  quiet
	done   chan struct{}

	guarded func()
}

// RxCounters count what came out of the in-channel.
type RxCounters struct {
	Packets, Bytes       uint64
	FrameErrors, Dropped uint64
	Faults               [element.NumFaults]uint64
	Reasons              [NumReasons]uint64
}

// InboundStatus is an Inbound's state at one moment.
type InboundStatus struct {
	Running           bool
	Peer              Peer
	Reason            string
	Epoch             shmstream.Epoch
	Size, Elements    int
	Doorbell          string
	Wakeups, Timeouts uint64
	Reader            shmstream.ReaderStats
	Counters          RxCounters
}

// NewInbound returns a paused forwarder; Run runs it.
func NewInbound(cfg InboundConfig) (*Inbound, error) {
	r, err := shmstream.NewReader(cfg.Region, shmstream.Expect{Protocol: cfg.Protocol, MinSize: cfg.Format.MinSize()})
	if err != nil {
		return nil, err
	}
	wc, epoch := doorbell.Words(cfg.Region)
	in := &Inbound{cfg: cfg, r: r, done: make(chan struct{}), limit: maxPacket}
	in.change = sync.NewCond(&in.mu)
	in.listener = doorbell.NewListener(doorbell.Config{WC: wc, Epoch: epoch, Poll: cfg.Poll, Locked: cfg.Locked})
	in.guarded = in.drain
	return in, nil
}

// Run carries packets until Close.
func (in *Inbound) Run() {
	defer close(in.done)
	var traffic time.Time // when the last burst moved something, for BusyPoll
	for {
		moved, active, ok := in.burst()
		switch {
		case !ok:
			return
		case moved > 0:
			in.listener.Found()
			if in.cfg.BusyPoll > 0 {
				traffic = time.Now()
			}
			runtime.Gosched()
		case in.cfg.BusyPoll > 0 && time.Since(traffic) < in.cfg.BusyPoll:
			runtime.Gosched()
		default:
			in.listener.Wait(active)
		}
	}
}

// burst deals with up to burstSize elements. It waits while the forwarder is
// paused; ok is false when it is closed.
func (in *Inbound) burst() (moved int, active, ok bool) {
	in.mu.Lock()
	for in.want == pause {
		in.change.Wait()
	}
	if in.want == quit {
		in.mu.Unlock()
		return 0, false, false
	}
	in.moved = 0
	fault := region.Guard(in.guarded)
	if fault != nil {
		in.want = pause
		in.setPeer(PeerInactive)
	}
	moved, active = in.moved, in.peer == PeerActive
	in.mu.Unlock()
	if fault != nil {
		in.cfg.OnFault(fault)
	}
	return moved, active, true
}

// drain takes elements until the channel has none or the burst is full.
func (in *Inbound) drain() {
	for in.moved < burstSize {
		in.listener.Look()
		slot, result := in.r.Next()
		switch result {
		case shmstream.Success:
			packet, fault := in.cfg.Format.Decode(in.buf[in.cfg.Skip:], slot)
			if in.r.Confirm() == shmstream.Success {
				in.deliver(packet, fault)
			}
			in.moved++
		case shmstream.Overrun:
			in.moved++
		case shmstream.EpochChanged:
			in.listener.NewEpoch()
			in.makeRoom()
			in.moved++
		case shmstream.NoData:
			in.follow(PeerActive)
			return
		case shmstream.Inactive:
			in.follow(PeerInactive)
			return
		case shmstream.Incompatible:
			in.follow(PeerIncompatible)
			return
		}
	}
	in.follow(PeerActive)
}

// follow takes note of what the channel showed.
func (in *Inbound) follow(p Peer) {
	if p != in.peer {
		in.listener.NewEpoch()
		in.setPeer(p)
	}
}

// makeRoom has the buffer hold an element of the new epoch.
func (in *Inbound) makeRoom() {
	if need := in.cfg.Skip + in.r.Size(); len(in.buf) < need {
		in.buf = make([]byte, need)
	}
}

// setPeer notes the state of the peer. The caller holds the lock.
func (in *Inbound) setPeer(p Peer) {
	before := in.peer
	in.peer = p
	if before == p {
		return
	}
	if p == PeerIncompatible {
		in.quiet.warn(in.cfg.Log, "peer is incompatible", "reason", in.r.Reason())
	}
	if (before == PeerActive) != (p == PeerActive) {
		in.cfg.OnPeer(p == PeerActive)
	}
}

// deliver hands a confirmed packet to the kernel. It lies in in.buf, behind
// room for what the device wants before it.
func (in *Inbound) deliver(packet element.Packet, fault element.Fault) {
	if fault != element.OK {
		in.count.FrameErrors++
		in.count.Faults[fault]++
		return
	}
	if len(packet.Data) > in.limit {
		in.drop(ExceedsMTU)
		in.quiet.warn(in.cfg.Log, "packet from the peer is too long for this interface", "size", len(packet.Data), "limit", in.limit)
		return
	}
	data := packet.Data
	if in.cfg.Skip > 0 {
		// Only raw mode has both: there the packet begins with the element.
		data = in.buf[:in.cfg.Skip+len(packet.Data)]
	}
	if _, err := in.cfg.Device.Write(data); err != nil {
		in.drop(refusal(err))
		return
	}
	in.count.Packets++
	in.count.Bytes += uint64(len(packet.Data))
}

func (in *Inbound) drop(r Reason) {
	in.count.Dropped++
	in.count.Reasons[r]++
}

// Limit sets the length of the longest packet that the interface takes.
func (in *Inbound) Limit(n int) {
	in.mu.Lock()
	in.limit = n
	in.mu.Unlock()
}

// Resume carries packets again, from where the writer is now: what it wrote
// while the interface was down is not delivered.
func (in *Inbound) Resume() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.want != pause {
		return nil
	}
	fault := region.Guard(func() {
		in.r.Reset()
		in.r.SkipPending()
		in.makeRoom()
	})
	if fault != nil {
		return fault
	}
	in.want = run
	in.change.Broadcast()
	return nil
}

// Pause returns when no packet is being carried any more; what the peer writes
// from now on is ignored.
func (in *Inbound) Pause() { in.order(pause) }

// Close ends Run and waits for it.
func (in *Inbound) Close() {
	in.order(quit)
	<-in.done
}

func (in *Inbound) order(w order) {
	in.mu.Lock()
	if in.want != quit {
		in.want = w
	}
	if w == pause {
		in.setPeer(PeerInactive)
	}
	in.change.Broadcast()
	in.mu.Unlock()
	in.listener.Interrupt()
}

// Status returns the state of now.
func (in *Inbound) Status() InboundStatus {
	in.mu.Lock()
	defer in.mu.Unlock()
	return InboundStatus{
		Running: in.want == run, Peer: in.peer, Reason: in.r.Reason(),
		Epoch: in.r.Epoch(), Size: in.r.Size(), Elements: in.r.Elements(),
		Doorbell: in.listener.String(), Wakeups: in.listener.Wakeups(), Timeouts: in.listener.Timeouts(),
		Reader: in.r.Stats(), Counters: in.count,
	}
}
