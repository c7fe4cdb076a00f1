package datapath

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/doorbell"
	"github.com/muennet/muennet/internal/offload"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/shmstream"
)

// SenderConfig is what a Sender is made of.
type SenderConfig struct {
	Region   []byte // the out-channel, mapped writable
	Format   element.Format
	Protocol uint64
	// Memory says how its readers are woken; nil: by futex.
	Memory doorbell.Memory
	// Poll is how often readers look that are not woken; 0: do not wait for them.
	Poll time.Duration
	// Renew is how long the peer must be silent to be taken for stuck, so that a
	// new epoch is begun for it; 0: never. It needs a Pulse.
	Renew time.Duration
	// Pulse is shared with the Inbound of the same peer.
	Pulse *Pulse
	Log   *slog.Logger
	// OnFault is called when the region cannot be written any more; the
	// writer is stopped by then. It must not block or call back.
	OnFault func(error)
}

// Sender is the writing end of an out-channel. All devices of one interface
// write through the same one.
type Sender struct {
	cfg  SenderConfig
	bell *doorbell.Ringer

	mu sync.Mutex
	w  *shmstream.Writer
	// What is known of the readers' progress: see pace.
	unrung int          // elements written since the last ring
	ahead  int          // elements written since a reader was known to have all others
	wakes  bool         // a ring has woken a reader in this epoch
	window window       // for readers that are not woken
	waits  uint64       // for them
	rushed atomic.Int32 // how many callers cannot wait for the readers
	burst  int          // elements written since the last burst ended
	bulk   atomic.Bool  // that burst was of many
	// For peers that are stuck: see renewal.
	renewal  renewal
	renewals uint64
	// longest packet that fits an element of this epoch, in bytes; 0 = there is none.
	longest atomic.Int64
	// The clock, which tests replace.
	now   func() time.Duration
	sleep func(time.Duration)
	// The send under way, for the guarded ones.
	packet   []byte
	segs     *offload.Segments
	mark     uint32
	count    *TxCounters
	one, all func()
}

// TxCounters count what one device handed to a Sender.
type TxCounters struct {
	Packets, Bytes uint64
	Dropped        uint64
	Faults         [element.NumFaults]uint64
	Reasons        [NumReasons]uint64
}

// SenderStatus is a Sender's state at one moment.
type SenderStatus struct {
	Active         bool
	Epoch          shmstream.Epoch // 0 = inactive
	Size, Elements int
	Written        uint64
	// Doorbell is how readers are woken, DoorbellErr why not better, or what the
	// last ring met; nil if nothing.
	Doorbell          string
	DoorbellErr       error
	Rings, RingErrors uint64
	Waits             uint64 // for readers that are not woken
	Renewals          uint64 // epochs begun for a peer that seemed to be stuck
}

// NewSender returns a Sender whose writer is inactive. Close closes it.
func NewSender(cfg SenderConfig) (*Sender, error) {
	w, err := shmstream.NewWriter(cfg.Region)
	if err != nil {
		return nil, err
	}
	s := &Sender{cfg: cfg, w: w, bell: doorbell.NewRinger(cfg.Region, cfg.Memory), window: window{poll: cfg.Poll}, now: clock, sleep: sleep}
	if cfg.Pulse != nil {
		s.renewal.after = cfg.Renew
	}
	s.one, s.all = s.write, s.writeSegments
	return s, nil
}

// Start begins a new epoch with elements of size bytes and wakes the readers.
func (s *Sender) Start(size int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	fault := region.Guard(func() {
		err = s.w.Start(shmstream.WriterConfig{Protocol: s.cfg.Protocol, Size: size})
	})
	if fault != nil {
		s.halt()
		return fault
	}
	s.renewal.start(s.now())
	s.begin()
	s.bell.RingAll()
	return err
}

// begin forgets what was known of the readers: an epoch has begun.
func (s *Sender) begin() {
	s.unrung, s.ahead, s.wakes = 0, 0, false
	s.window.begin(s.w.Elements())
	s.renewal.begin(s.now())
	s.longest.Store(int64(s.cfg.Format.MaxPacket(s.w.Size())))
}

// Mend begins a new epoch if something else has written into the header: a
// process that should not, or one that shrank the region and made it grow again.
// Readers may have been misled in any way, and some of them would never find
// back: a new epoch is what all of them follow. It costs the same for any region,
// so one for each burst, the most that a process can cause, is no burden. Each
// burst begins with it; Mend is for the time between, and leaves a Sender alone
// that is at work.
func (s *Sender) Mend() {
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	s.faulted(region.Guard(s.mend))
}

// faulted stops the writer after a fault of the region; nil is none.
func (s *Sender) faulted(fault error) {
	if fault != nil {
		s.halt()
		s.cfg.OnFault(fault)
	}
}

// mend is Mend under the lock and region.Guard.
func (s *Sender) mend() {
	if !s.w.Damaged() {
		return
	}
	s.w.Renew(0)
	s.begin()
	s.cfg.Log.Warn("header of the out-channel was overwritten: a new epoch has begun")
	s.bell.RingAll()
}

// Stop makes the channel inactive and wakes the readers.
func (s *Sender) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.halt()
}

// halt is Stop under the lock.
func (s *Sender) halt() {
	s.longest.Store(0)
	// A region that is gone needs no stopping.
	_ = region.Guard(s.w.Stop)
	s.bell.RingAll()
}

// Close stops the writer and gives the doorbell back. Nobody may send any more.
func (s *Sender) Close() {
	s.Stop()
	s.bell.Close()
}

// send writes one packet into the channel; ring tells the readers. The lock
// guards count as well.
func (s *Sender) send(packet []byte, mark uint32, count *TxCounters) {
	s.guard(s.one, nil, packet, mark, count)
}

// sendSegments is send for the packets that segs makes of packet.
func (s *Sender) sendSegments(segs *offload.Segments, packet []byte, mark uint32, count *TxCounters) {
	for left := -1; segs.Left() > 0 && segs.Left() != left; {
		left = segs.Left()
		if !s.guard(s.all, segs, packet, mark, count) {
			return
		}
		if segs.Left() > 0 {
			s.pace()
		}
	}
}

// guard has write send what it is given, and reports whether the writer goes on.
// When the region faults it is stopped before another device may send.
func (s *Sender) guard(write func(), segs *offload.Segments, packet []byte, mark uint32, count *TxCounters) bool {
	s.mu.Lock()
	if s.window.until != 0 && !s.wakes {
		s.letRead()
	}
	if !s.w.Active() {
		count.drop(Inactive)
		s.mu.Unlock()
		return false
	}
	s.packet, s.segs, s.mark, s.count = packet, segs, mark, count
	fault := region.Guard(write)
	s.packet, s.segs, s.count = nil, nil, nil
	if fault != nil {
		count.drop(Inactive)
		s.faulted(fault)
	}
	s.mu.Unlock()
	return fault == nil
}

// check finds what cannot be sent before a slot is reserved: nothing may be
// announced and then not come.
func (s *Sender) check(packet []byte) bool {
	if s.burst == 0 {
		s.mend()
	}
	size := s.w.Size()
	fault := s.cfg.Format.Check(size, packet)
	if fault == element.OK {
		return true
	}
	s.count.Dropped++
	s.count.Faults[fault]++
	if fault == element.Oversize {
		s.cfg.Log.Warn("packet is too long for an element", "size", len(packet), "limit", s.cfg.Format.MaxPacket(size))
	}
	return false
}

// maxReserved is how many elements are reserved at a time: more of them make
// counters move less often, fewer leave more room to readers that lag.
const maxReserved = 16

// writeSegments has s.segs write into the next elements, a quarter of the ring at
// most.
func (s *Sender) writeSegments() {
	if !s.check(s.packet[:s.segs.MaxLen()]) {
		return
	}
	most := max(1, min(maxReserved, s.w.Elements()/8))
	left := min(s.segs.Left(), max(1, s.w.Elements()/4))
	if !s.wakes {
		left = s.window.room(left)
	}
	for left > 0 {
		k := min(left, most)
		s.w.Reserve(k)
		for i := range k {
			slot := s.w.Slot(i)
			n := s.segs.Next(s.cfg.Format.Body(slot))
			used := s.cfg.Format.Seal(slot, s.packet, n, s.mark)
			s.w.Fill(i, used)
			s.count.Bytes += uint64(used)
		}
		s.w.Publish()
		s.wrote(k)
		left -= k
	}
}

// write encodes s.packet into the next element.
func (s *Sender) write() {
	if !s.check(s.packet) {
		return
	}
	s.w.Reserve(1)
	used, _ := s.cfg.Format.Encode(s.w.Slot(0), s.packet, s.mark)
	s.w.Fill(0, used)
	s.w.Publish()
	s.wrote(1)
	s.count.Bytes += uint64(used)
}

// drop counts a packet that was refused before it came to sending it.
func (s *Sender) drop(r Reason, count *TxCounters) {
	s.mu.Lock()
	count.drop(r)
	s.mu.Unlock()
}

// drop counts a packet that was not sent.
func (c *TxCounters) drop(r Reason) {
	c.Dropped++
	c.Reasons[r]++
}

// flush ends a burst: it rings for what was written since the last ring.
func (s *Sender) flush() {
	s.mu.Lock()
	unrung := s.unrung
	s.bulk.Store(s.burst > fewElements)
	s.burst = 0
	s.mu.Unlock()
	if unrung > 0 {
		s.ring()
	}
}

// sendsBulk reports whether the last burst was of many elements.
func (s *Sender) sendsBulk() bool { return s.bulk.Load() }

func (s *Sender) hurry(by int32) { s.rushed.Add(by) }

// limit is the shorter of what an element of this epoch and the path take.
func (s *Sender) limit(path int) int {
	most := int(s.longest.Load())
	if path != 0 && (most == 0 || path < most) {
		return path
	}
	return most
}

func (s *Sender) counters(count *TxCounters) TxCounters {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *count
}

// ring wakes the readers and reports whether one is known to have been asleep.
func (s *Sender) ring() (woken bool) {
	woken = s.bell.Ring()
	s.mu.Lock()
	defer s.mu.Unlock()
	if woken {
		// A reader sleeps when it has everything.
		s.wakes, s.ahead = true, s.unrung
	}
	s.unrung = 0
	return woken
}

// pace is called between packets. It rings when much was written, so that a
// reader can begin while the burst goes on. And it lets a reader that lags by
// half of the ring catch up, for what overtakes it is lost. A channel says
// nothing of its readers; but one that sleeps has read everything, and ringing
// tells whether one slept. Readers that never sleep so have their window; where
// the bell is not that cheap and cannot tell there is one ring per burst.
func (s *Sender) pace() {
	s.mu.Lock()
	ring, lag := s.unrung*s.w.Size() >= ringEvery && s.bell.Tells(), s.wakes && s.ahead > s.w.Elements()/2
	s.mu.Unlock()
	if (!ring && !lag) || s.ring() || !lag {
		return
	}
	for start := time.Now(); time.Since(start) < maxLag; {
		yield()
		if s.ring() {
			return
		}
	}
	s.mu.Lock()
	s.ahead = 0 // wait again when it is another half
	s.mu.Unlock()
}

// wrote counts elements for pace.
func (s *Sender) wrote(n int) {
	s.count.Packets += uint64(n)
	s.unrung += n
	s.burst += n
	s.ahead += n
	if !s.wakes {
		s.window.wrote(n, s.now)
	}
}

// Status returns the state of now.
func (s *Sender) Status() SenderStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := SenderStatus{
		Active: s.w.Active(), Size: s.w.Size(), Elements: s.w.Elements(),
		Written:  s.w.Written(),
		Doorbell: s.bell.String(), DoorbellErr: s.bell.Err(), Rings: s.bell.Rings(), RingErrors: s.bell.Errors(),
		Waits: s.waits, Renewals: s.renewals,
	}
	if st.Active {
		st.Epoch = s.w.Epoch() // which keeps that of the last session
	}
	return st
}
