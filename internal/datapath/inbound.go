package datapath

import (
	"log/slog"
	"sync"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/doorbell"
	"github.com/muennet/muennet/internal/offload"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/shmstream"
)

// InboundConfig configures an Inbound.
type InboundConfig struct {
	// Port takes packets whose mark has no route. Only this Port may have a Skip.
	Port     *Port
	Region   []byte // the in-channel, mapped read-only
	Format   element.Format
	Protocol uint64
	// MergeUDP: the kernel takes merged UDP packets, too.
	MergeUDP bool
	// Memory, Poll, BusyPoll and Locked: see doorbell.Config and driver.Config.
	Memory         doorbell.Memory
	Poll, BusyPoll time.Duration
	Locked         func() bool
	// Sink of the same interface; nil: a Discard. There is no busy polling while
	// it sends bulk traffic.
	Sink Sink
	// Pulse is told what comes; nil: no Sender renews.
	Pulse *Pulse
	Log   *slog.Logger
	// OnPeer is called, with a lock held, when the peer becomes active and
	// compatible, and when that ends. It must not block or call back.
	OnPeer func(active bool)
	// OnFault is called when the region cannot be read any more and the forwarder
	// is paused. It must not block or call back.
	OnFault func(error)
}

// Inbound carries what the peer writes into the in-channel to the kernel. It
// begins paused.
type Inbound struct {
	cfg      InboundConfig
	listener *doorbell.Listener

	mu     sync.Mutex
	change *sync.Cond
	want   order
	parked bool // Run waits for an order and uses neither reader nor listener
	r      *shmstream.Reader
	peer   Peer
	faults [element.NumFaults]uint64
	routes map[uint32]*Port // by mark
	before inboundTotals    // of earlier regions
	done   chan struct{}

	// The present burst.
	moved   int  // elements taken, or lost
	good    bool // some of them were packets
	turned  bool // the state of the peer has changed
	packets []received
	batch   offload.Batch

	arena  []byte // memory of packets
	size   int    // of the elements that arena is laid out for, in bytes
	stride int    // bytes of arena for each packet
	seen   int    // element size of the last epoch, kept when it ends

	restraint restraint // of Run
	gathering func()
	now       func() time.Duration // the clock, which tests replace
}

// InboundStatus is an Inbound's state at one moment.
type InboundStatus struct {
	Running        bool
	Peer           Peer
	Reason         string // why the peer is incompatible
	Epoch          shmstream.Epoch
	Size, Elements int
	Seen           int // Size of the last epoch, kept when it ends; 0: none yet
	// Doorbell is what wakes the Inbound. DoorbellErr is why no bell can; nil if
	// one could.
	Doorbell          string
	DoorbellErr       error
	Wakeups, Timeouts uint64
	Reader            shmstream.ReaderStats
	// Faults counts elements without a valid packet. They belong to no device.
	Faults [element.NumFaults]uint64
}

// NewInbound returns a paused forwarder. Run runs it. Close closes it and needs
// Run to be running.
func NewInbound(cfg InboundConfig) (*Inbound, error) {
	r, err := shmstream.NewReader(cfg.Region, shmstream.Expect{Protocol: cfg.Protocol, MinSize: cfg.Format.MinSize()})
	if err != nil {
		return nil, err
	}
	if cfg.Sink == nil {
		cfg.Sink = new(Discard)
	}
	in := &Inbound{cfg: cfg, r: r, done: make(chan struct{}), routes: make(map[uint32]*Port), packets: make([]received, 0, gatherSize), now: clock}
	in.change = sync.NewCond(&in.mu)
	if in.listener, err = newListener(cfg.Region, cfg.Memory, cfg.Poll, cfg.Locked); err != nil {
		return nil, err
	}
	in.gathering = in.gather
	in.batch.UDP = cfg.MergeUDP
	return in, nil
}

// Run carries packets until Close.
func (in *Inbound) Run() {
	defer close(in.done)
	var own turn
	busy := busyPoll{max: in.cfg.BusyPoll, bulk: in.cfg.Sink.sendsBulk, now: clock, yield: yield}
	asked := false // the writer asked for the burst
	for {
		moved, active, ok := in.burst()
		if !ok {
			return
		}
		in.restrain(asked)
		asked = false
		switch {
		case moved > 0:
			in.listener.Found()
			busy.found(moved)
			own.end()
		case busy.again():
		default:
			asked = in.listener.Wait(active)
		}
	}
}

// burst takes up to gatherSize elements and delivers their packets. While the
// forwarder is paused, burst waits. ok is false when it is closed.
func (in *Inbound) burst() (moved int, active, ok bool) {
	in.mu.Lock()
	for in.want == pause {
		in.park()
	}
	if in.want == quit {
		in.mu.Unlock()
		return 0, false, false
	}
	before := in.peer
	in.moved = 0
	fault := region.Guard(in.gathering)
	in.good = len(in.packets) > 0
	in.turned = in.peer != before
	in.deliver()
	if in.good {
		in.cfg.Pulse.hear(in.now)
	}
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

// park waits for the next order. The caller holds the lock.
func (in *Inbound) park() {
	in.parked = true
	in.change.Broadcast()
	in.change.Wait()
	in.parked = false
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
		in.cfg.Pulse.setEpoch(in.r.Epoch())
		in.layOut()
	})
	if fault != nil {
		return fault
	}
	in.want = run
	in.change.Broadcast()
	return nil
}

// Pause stops carrying packets. When it returns no packet is being carried, and
// what the peer writes is ignored.
func (in *Inbound) Pause() { in.setOrder(pause) }

// Close ends Run and waits for it.
func (in *Inbound) Close() {
	in.setOrder(quit)
	<-in.done
	in.listener.Close()
}

// setOrder gives an order. None follows quit.
func (in *Inbound) setOrder(w order) {
	in.mu.Lock()
	if in.want != quit {
		in.want = w
	}
	if w == pause {
		in.setPeer(PeerInactive)
	}
	in.change.Broadcast()
	listener := in.listener
	in.mu.Unlock()
	listener.Interrupt()
}

// Status returns the present state.
func (in *Inbound) Status() InboundStatus {
	in.mu.Lock()
	defer in.mu.Unlock()
	total := in.totals()
	return InboundStatus{
		Running: in.want == run, Peer: in.peer, Reason: in.r.Reason(),
		Epoch: in.r.Epoch(), Size: in.r.Size(), Seen: in.seen, Elements: in.r.Elements(),
		Doorbell: in.listener.String(), DoorbellErr: in.listener.Err(), Wakeups: total.wakeups, Timeouts: total.timeouts,
		Reader: total.reader, Faults: in.faults,
	}
}
