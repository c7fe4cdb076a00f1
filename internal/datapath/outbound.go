package datapath

import (
	"sync"

	"github.com/muennet/muennet/internal/offload"
	"github.com/muennet/muennet/internal/packet"
)

// OutboundConfig configures an Outbound.
type OutboundConfig struct {
	Device Device
	// Sink takes the packets; nil: a Discard.
	Sink Sink
	// Skip is how many bytes the device puts before each packet.
	Skip int
	// Offload: these bytes are a virtio_net_hdr. Packets may have to be cut, and
	// their checksums completed.
	Offload bool
	// Ethernet: the packets are Ethernet frames.
	Ethernet bool
	// PMTU limits the length of packets by their mark; nil: no limit. It needs
	// Answers.
	PMTU *PMTU
	// Answers takes ICMP errors for packets that are too long for their path or an
	// element. Those that may be fragmented are. nil: the packets may be no IP
	// packets, and one that is too long is dropped.
	Answers *Port
	// Marks tells the mark of the packets in each queue; nil: they have none.
	Marks *Marks
}

// Outbound carries what the kernel sends on a device into the out-channel.
//
// It begins paused. While it is paused packets stay with the kernel: those sent
// between the interface's going up and the writer's start are not lost.
type Outbound struct {
	cfg   OutboundConfig
	buf   []byte
	ready func() bool
	segs  offload.Segments
	piece []byte // a segment that is not cut straight into an element
	reply [packet.MaxTooBig]byte

	count TxCounters // guarded by the Sink

	mu     sync.Mutex
	change *sync.Cond
	want   order
	parked bool // Run waits for an order
	done   chan struct{}
}

// NewOutbound returns a paused forwarder. Run runs it.
func NewOutbound(cfg OutboundConfig) *Outbound {
	if cfg.Sink == nil {
		cfg.Sink = new(Discard)
	}
	o := &Outbound{cfg: cfg, buf: make([]byte, cfg.Skip+maxPacket), done: make(chan struct{})}
	o.change = sync.NewCond(&o.mu)
	// A burst that is not full has found the device empty: Wait may wait for it.
	var own turn
	o.ready = func() bool {
		n := o.burst()
		if n > 0 {
			own.end()
		}
		return n == burstSize
	}
	return o
}

// Run carries packets until Close.
func (o *Outbound) Run() {
	defer close(o.done)
	for o.proceed() {
		if err := o.cfg.Device.Wait(o.ready); err != nil && o.order() == run {
			// The device was closed or deleted. The driver finds out by itself; do not
			// spin until then.
			o.halt()
		}
	}
}

// proceed waits while the order is pause and reports whether to carry packets.
func (o *Outbound) proceed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.want == pause {
		// First send what the kernel accepted before the interface went down.
		for o.burst() > 0 {
		}
	}
	for o.want == pause {
		o.parked = true
		o.change.Broadcast()
		o.change.Wait()
	}
	o.parked = false
	return o.want == run
}

// order is the present order.
func (o *Outbound) order() order {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.want
}

// setOrder gives an order. None follows quit.
func (o *Outbound) setOrder(w order) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.want != quit {
		o.want = w
	}
	o.change.Broadcast()
}

// halt pauses after an error of the device, and waits for devicePause or Close.
func (o *Outbound) halt() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.want == run { // otherwise an order came since, and caused the error
		o.want = pause
	}
	waitFor(o.change, devicePause, func() bool { return o.want == quit })
}

// burst carries up to burstSize packets and rings for them. It returns how many
// it has read from the device.
func (o *Outbound) burst() int {
	n := 0
	marks := o.cfg.Marks
	if marks != nil {
		marks.begin()
	}
	for ; n < burstSize; n++ {
		size, queue, err := o.cfg.Device.Read(o.buf)
		if err != nil || size < o.cfg.Skip {
			break
		}
		if n == 0 {
			o.cfg.Sink.revive()
		}
		var mark uint32
		if queue != 0 && marks != nil {
			mark = marks.of(queue)
		}
		if o.cfg.Offload {
			o.cut(o.buf[:size], mark)
		} else {
			o.send(o.buf[o.cfg.Skip:size], mark)
		}
		o.cfg.Sink.pace()
	}
	if marks != nil {
		marks.end()
	}
	if n > 0 {
		o.cfg.Sink.flush()
	}
	return n
}

// cut sends a packet with a virtio_net_hdr as one or more complete packets.
func (o *Outbound) cut(frame []byte, mark uint32) {
	var header offload.Header
	header.Decode(frame)
	p := frame[o.cfg.Skip:]
	if header.GSOType == offload.GSONone && header.Flags&offload.NeedsCsum == 0 {
		o.send(p, mark)
		return
	}
	if fault := o.segs.Init(header, p, o.cfg.Ethernet); fault != offload.OK {
		o.cfg.Sink.drop(BadOffload, &o.count)
		return
	}
	if limit := o.limit(mark); limit == 0 || o.segs.MaxLen() <= limit {
		o.cfg.Sink.sendSegments(&o.segs, p, mark, &o.count)
		return
	}
	if o.piece == nil {
		o.piece = make([]byte, maxPacket)
	}
	for n := o.segs.Next(o.piece); n > 0; n = o.segs.Next(o.piece) {
		o.send(o.piece[:n], mark)
	}
}

// send sends one complete packet.
func (o *Outbound) send(p []byte, mark uint32) {
	if limit := o.limit(mark); limit != 0 && len(p) > limit {
		o.sendLong(p, mark, limit)
		return
	}
	o.cfg.Sink.send(p, mark, &o.count)
}

// Pause stops carrying packets. Before it returns, all that the device held has
// been sent. A forwarder that does not run is paused already.
func (o *Outbound) Pause() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.want != run {
		return
	}
	o.want = pause
	// With a long poll a Sender can wait for its readers for minutes.
	o.cfg.Sink.hurry(1)
	defer o.cfg.Sink.hurry(-1)
	// If this fails, the next packet ends the wait.
	_ = o.cfg.Device.Interrupt()
	for o.want == pause && !o.parked {
		o.change.Wait()
	}
	_ = o.cfg.Device.Resume()
}

// Resume carries packets again.
func (o *Outbound) Resume() { o.setOrder(run) }

// Close ends Run and waits for it. It does not close the device.
func (o *Outbound) Close() {
	o.setOrder(quit)
	o.cfg.Sink.hurry(1)
	defer o.cfg.Sink.hurry(-1)
	_ = o.cfg.Device.Interrupt()
	<-o.done
	if o.cfg.Marks != nil {
		o.cfg.Marks.close()
	}
}

// Counters returns what the device has sent and what was dropped.
func (o *Outbound) Counters() TxCounters { return o.cfg.Sink.counters(&o.count) }
