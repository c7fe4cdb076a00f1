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

// InboundConfig is what an Inbound is made of.
type InboundConfig struct {
	// Port receives what no route sends elsewhere. Only it may have a Skip.
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
	// Sink of the same interface; nil: a Discard. There is no busy polling while it
	// sends many packets at a time.
	Sink Sink
	// Pulse is told of what comes; nil: nobody wants to know.
	Pulse *Pulse
	Log   *slog.Logger
	// OnPeer is called when the peer becomes active (and compatible) or stops
	// being so, with a lock held. It must not block or call back.
	OnPeer func(active bool)
	// OnFault is called when the region cannot be read any more; the forwarder
	// is paused by then. It must not block or call back.
	OnFault func(error)
}

// Inbound carries what the peer writes into the in-channel to the kernel.
// It begins paused.
type Inbound struct {
	cfg      InboundConfig
	listener *doorbell.Listener

	mu     sync.Mutex
	change *sync.Cond
	want   order
	parked bool // Run waits for an order: it uses neither reader nor listener
	r      *shmstream.Reader
	peer   Peer
	moved  int  // elements the last burst dealt with
	good   bool // some of them were packets
	turned bool // the peer's state changed with it
	arena  []byte
	size   int // of the elements that arena is laid out for
	stride int // bytes of arena for each packet
	held   []holding
	batch  offload.Batch
	faults [element.NumFaults]uint64
	routes map[uint32]*Port // by mark
	before inboundTotals    // of the regions before this one
	done   chan struct{}

	restraint restraint // of the goroutine
	guarded   func()
	now       func() time.Duration // the clock, which tests replace
}

// holding is a packet that has been copied out of the channel and confirmed. Its
// frame begins with the bytes that the device wants before a packet.
type holding struct {
	frame []byte
	mark  uint32
}

// arenaSize is what a burst's packets may take together, unless one alone takes
// more. It stays in the processor's second-level cache.
const arenaSize = 256 << 10

// InboundStatus is an Inbound's state at one moment.
type InboundStatus struct {
	Running        bool
	Peer           Peer
	Reason         string
	Epoch          shmstream.Epoch
	Size, Elements int
	// Doorbell is how we are woken, DoorbellErr why by nothing, nil if we could be.
	Doorbell          string
	DoorbellErr       error
	Wakeups, Timeouts uint64
	Reader            shmstream.ReaderStats
	// Faults counts elements that were no packets; they belong to no device.
	Faults [element.NumFaults]uint64
}

// NewInbound returns a paused forwarder; Run runs it, and Close closes it then.
func NewInbound(cfg InboundConfig) (*Inbound, error) {
	r, err := shmstream.NewReader(cfg.Region, shmstream.Expect{Protocol: cfg.Protocol, MinSize: cfg.Format.MinSize()})
	if err != nil {
		return nil, err
	}
	if cfg.Sink == nil {
		cfg.Sink = new(Discard)
	}
	in := &Inbound{cfg: cfg, r: r, done: make(chan struct{}), routes: make(map[uint32]*Port), held: make([]holding, 0, gatherSize), now: clock}
	in.change = sync.NewCond(&in.mu)
	if in.listener, err = newListener(cfg.Region, cfg.Memory, cfg.Poll, cfg.Locked); err != nil {
		return nil, err
	}
	in.guarded = in.gather
	in.batch.UDP = cfg.MergeUDP
	return in, nil
}

// Run carries packets until Close.
func (in *Inbound) Run() {
	defer close(in.done)
	var own turn
	busy := busyPoll{max: in.cfg.BusyPoll, bulk: in.cfg.Sink.sendsBulk, now: clock, yield: yield}
	sign := false // of the writer, before the burst
	for {
		moved, active, ok := in.burst()
		if !ok {
			return
		}
		in.restrain(sign)
		sign = false
		switch {
		case moved > 0:
			in.listener.Found()
			busy.found(moved)
			own.end()
		case busy.again():
		default:
			sign = in.listener.Wait(active)
		}
	}
}

// burst deals with up to gatherSize elements. It waits while the forwarder is
// paused; ok is false when it is closed.
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
	fault := region.Guard(in.guarded)
	in.good = len(in.held) > 0
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

// gather copies elements out of the channel until it has none, the burst is
// full, or the epoch changes.
func (in *Inbound) gather() {
	if in.size != in.r.Size() {
		in.makeRoom()
	}
	for in.moved < gatherSize && len(in.held) < in.room() {
		in.listener.Look()
		slot, result := in.r.Next()
		switch result {
		case shmstream.Success:
			in.take(slot)
			in.moved++
		case shmstream.Overrun:
			in.moved++
		case shmstream.EpochChanged:
			in.listener.NewEpoch()
			in.cfg.Pulse.setEpoch(in.r.Epoch())
			in.follow(PeerActive)
			in.moved++
			return // what is held lies in the arena as it is
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

// take copies one element into the arena and holds the packet in it.
func (in *Inbound) take(slot []byte) {
	skip := in.cfg.Port.cfg.Skip
	at := len(in.held) * in.stride
	packet, fault := in.cfg.Format.Decode(in.arena[at+skip:at+in.stride], slot)
	if in.r.Confirm() != shmstream.Success {
		return
	}
	if fault != element.OK {
		in.faults[fault]++
		return
	}
	// The packet lies behind skip bytes, and in net_hdr mode behind the
	// element's header as well, which is of no more use.
	begin := at + in.cfg.Format.Offset()
	frame := in.arena[begin : begin+skip+len(packet.Data)]
	clear(frame[:skip])
	in.held = append(in.held, holding{frame, packet.Mark})
}

// room is how many packets a burst may hold.
func (in *Inbound) room() int {
	if in.stride == 0 {
		return 1
	}
	return len(in.arena) / in.stride
}

// makeRoom lays out the arena for the elements of a new epoch. Nothing may be
// held.
func (in *Inbound) makeRoom() {
	in.size = in.r.Size()
	in.stride = (in.cfg.Port.cfg.Skip + in.r.Size() + 63) &^ 63
	if need := min(max(arenaSize, in.stride), gatherSize*in.stride); len(in.arena) < need {
		in.arena = make([]byte, need)
	}
}

// deliver passes on what is held. Consecutive packets of one flow, one mark and
// one device go as one where the device takes that.
func (in *Inbound) deliver() {
	first := 0 // of the packets in batch, which end before i
	var port *Port
	for i, h := range in.held {
		to, packet := in.port(h.mark), h.frame[in.cfg.Port.cfg.Skip:]
		merges := to.merges()
		if n := in.batch.Len(); n > 0 && n == i-first && merges && to == port && h.mark == in.held[first].mark && in.batch.Add(packet, in.ethernet()) {
			continue
		}
		in.flush(port, in.held[first:i])
		port, first = to, i
		if merges {
			in.batch.Add(packet, in.ethernet())
		}
	}
	in.flush(port, in.held[first:])
	in.held = in.held[:0]
}

func (in *Inbound) ethernet() bool { return in.cfg.Format == element.EthDev }

// flush passes on packets: those of the batch, or one that is none.
func (in *Inbound) flush(port *Port, packets []holding) {
	defer in.batch.Reset()
	if in.batch.Len() > 1 && port.deliverMerged(&in.batch, packets[0].mark) {
		return
	}
	for _, h := range packets {
		port.deliver(h.frame, h.mark)
	}
}

// port is the device that a mark stands for.
func (in *Inbound) port(mark uint32) *Port {
	if mark != 0 {
		if child := in.routes[mark]; child != nil {
			return child
		}
	}
	return in.cfg.Port
}

// Route sends packets of a mark to a child from the next one on; nil sends them
// to the parent again. When it returns, no packet of that mark is on its way to
// where they went before.
func (in *Inbound) Route(mark uint32, child *Port) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if child == nil {
		delete(in.routes, mark)
	} else {
		in.routes[mark] = child
	}
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
	in.listener.Close()
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
	listener := in.listener
	in.mu.Unlock()
	listener.Interrupt()
}

// Status returns the state of now.
func (in *Inbound) Status() InboundStatus {
	in.mu.Lock()
	defer in.mu.Unlock()
	total := in.totals()
	return InboundStatus{
		Running: in.want == run, Peer: in.peer, Reason: in.r.Reason(),
		Epoch: in.r.Epoch(), Size: in.r.Size(), Elements: in.r.Elements(),
		Doorbell: in.listener.String(), DoorbellErr: in.listener.Err(), Wakeups: total.wakeups, Timeouts: total.timeouts,
		Reader: total.reader, Faults: in.faults,
	}
}
