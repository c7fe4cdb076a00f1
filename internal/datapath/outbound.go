package datapath

import (
	"sync"

	"github.com/muennet/muennet/internal/offload"
	"github.com/muennet/muennet/internal/packet"
)

// OutboundConfig is what an Outbound is made of.
type OutboundConfig struct {
	Device Device
	// Sink takes the packets; nil: a Discard.
	Sink Sink
	// Skip is how many bytes the device puts before each packet.
	Skip int
	// Offload: these bytes are a virtio_net_hdr, and packets may have to be cut
	// and their checksums completed.
	Offload bool
	// Ethernet: the packets are Ethernet frames.
	Ethernet bool
	// PMTU limits the length of packets by their mark; nil: nothing does. It needs
	// Answers.
	PMTU *PMTU
	// Answers is told what to tell the senders of packets that are too long for
	// their path or for an element; those that may be cut are sent in pieces. nil:
	// the packets are not IP, or nobody is told.
	Answers *Port
	// Marks tells what mark the packets of each queue have; nil: none has one.
	Marks *Marks
}

// Outbound carries what the kernel sends on a device into the out-channel.
//
// It begins paused, and while it is paused packets stay with the kernel: those
// that come between the interface's going up and the writer's start are sent,
// not lost.
type Outbound struct {
	cfg   OutboundConfig
	buf   []byte
	ready func() bool
	segs  offload.Segments
	piece []byte // a segment that is not written straight into an element
	reply [packet.MaxTooBig]byte

	count TxCounters // guarded by the Sink

	mu     sync.Mutex
	change *sync.Cond
	want   order
	parked bool
	done   chan struct{}
}

// NewOutbound returns a paused forwarder; Run runs it.
func NewOutbound(cfg OutboundConfig) *Outbound {
	if cfg.Sink == nil {
		cfg.Sink = new(Discard)
	}
	o := &Outbound{cfg: cfg, buf: make([]byte, cfg.Skip+maxPacket), done: make(chan struct{})}
	o.change = sync.NewCond(&o.mu)
	// A burst that was not full has seen the device empty: it may be waited for.
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

// Run carries packets until Close. It returns when the forwarder is closed or
// its device is gone.
func (o *Outbound) Run() {
	defer close(o.done)
	for o.proceed() {
		if err := o.cfg.Device.Wait(o.ready); err != nil && o.told() == run {
			// The device was closed, or deleted under us: the driver finds out
			// by its own means. Do not spin until then.
			o.halt()
		}
	}
}

// proceed waits while the order is pause and reports whether to carry packets.
func (o *Outbound) proceed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.want == pause {
		// What the kernel accepted before the interface went down goes first.
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

func (o *Outbound) told() order {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.want
}

// halt pauses after an error of the device that nobody asked for, and stays for
// devicePause unless the forwarder is closed.
func (o *Outbound) halt() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.want == run { // else the order came since the error, and was the reason for it
		o.want = pause
	}
	waitFor(o.change, devicePause, func() bool { return o.want == quit })
}

// burst carries up to burstSize packets and rings for them. It returns how many
// were taken from the device.
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

// cut sends what a device with a virtio_net_hdr handed over, as complete packets.
func (o *Outbound) cut(frame []byte, mark uint32) {
	var header offload.Header
	header.Decode(frame)
	packet := frame[o.cfg.Skip:]
	if header.GSOType == offload.GSONone && header.Flags&offload.NeedsCsum == 0 {
		o.send(packet, mark)
		return
	}
	if fault := o.segs.Init(header, packet, o.cfg.Ethernet); fault != offload.OK {
		o.cfg.Sink.drop(BadOffload, &o.count)
		return
	}
	if most := o.most(mark); most == 0 || o.segs.MaxLen() <= most {
		o.cfg.Sink.sendSegments(&o.segs, packet, mark, &o.count)
		return
	}
	if o.piece == nil {
		o.piece = make([]byte, maxPacket)
	}
	for n := o.segs.Next(o.piece); n > 0; n = o.segs.Next(o.piece) {
		o.send(o.piece[:n], mark)
	}
}

func (o *Outbound) send(packet []byte, mark uint32) {
	if most := o.most(mark); most != 0 && len(packet) > most {
		o.sendLong(packet, mark, most)
		return
	}
	o.cfg.Sink.send(packet, mark, &o.count)
}

// Pause returns when no packet is being carried any more. What the device
// already held has been sent by then. A forwarder that is not running is
// paused as it is.
func (o *Outbound) Pause() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.want != run {
		return
	}
	o.want = pause
	o.cfg.Sink.hurry(1) // with a long poll it waits for minutes
	defer o.cfg.Sink.hurry(-1)
	// Should it fail, the next packet ends the wait instead.
	_ = o.cfg.Device.Interrupt()
	for o.want == pause && !o.parked {
		o.change.Wait()
	}
	_ = o.cfg.Device.Resume()
}

// Resume carries packets again.
func (o *Outbound) Resume() { o.order(run) }

// Close ends Run and waits for it. The device is the caller's to close.
func (o *Outbound) Close() {
	o.order(quit)
	o.cfg.Sink.hurry(1) // with a long poll it waits for minutes
	defer o.cfg.Sink.hurry(-1)
	_ = o.cfg.Device.Interrupt()
	<-o.done
	if o.cfg.Marks != nil {
		o.cfg.Marks.close()
	}
}

func (o *Outbound) order(w order) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.want != quit {
		o.want = w
	}
	o.change.Broadcast()
}

// Counters returns what was sent and dropped so far.
func (o *Outbound) Counters() TxCounters { return o.cfg.Sink.counters(&o.count) }
