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

// SenderConfig configures a Sender.
type SenderConfig struct {
	Region   []byte // the out-channel, mapped writable
	Format   element.Format
	Protocol uint64
	// Memory says how to wake readers; nil: by futex.
	Memory doorbell.Memory
	// Poll is how often readers look that are not woken; 0: do not wait for them.
	Poll time.Duration
	// Renew is how long the peer must be silent to be taken for stuck, so that a
	// new epoch begins; 0, or no Pulse: never.
	Renew time.Duration
	// Pulse is shared with the Inbound of the same peer.
	Pulse *Pulse
	Log   *slog.Logger
	// OnFault is called when the region cannot be written any more and the writer
	// has been stopped. It must not block or call back.
	OnFault func(error)
}

// Sender is the writing end of an out-channel. All devices of one interface
// share it.
type Sender struct {
	cfg  SenderConfig
	bell *doorbell.Ringer

	rushed  atomic.Int32 // callers of hurry
	bulk    atomic.Bool  // the last burst was bulk traffic
	longest atomic.Int64 // packet that fits an element of this epoch, in bytes; 0: no epoch

	mu       sync.Mutex
	w        *shmstream.Writer
	readers  readers
	waits    uint64 // for readers that poll
	renewals uint64

	// What write and writeSegments send. They are called through region.Guard, as
	// one and all, so that no closure is made per packet.
	packet   []byte
	segs     *offload.Segments
	mark     uint32
	count    *TxCounters
	one, all func()

	// The clock, which tests replace.
	now   func() time.Duration
	sleep func(time.Duration)
}

// TxCounters count what one device has sent.
type TxCounters struct {
	Packets, Bytes uint64
	Dropped        uint64
	Faults         [element.NumFaults]uint64
	Reasons        [NumReasons]uint64
}

// SenderStatus is a Sender's state at one moment.
type SenderStatus struct {
	Active         bool
	Epoch          shmstream.Epoch // 0: inactive
	Size, Elements int
	Written        uint64
	// Doorbell is how readers are woken. DoorbellErr is why not better, or the
	// error of the last ring; nil if none.
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
	if cfg.Pulse == nil {
		cfg.Renew = 0
	}
	s := &Sender{cfg: cfg, w: w, bell: doorbell.NewRinger(cfg.Region, cfg.Memory), now: clock, sleep: sleep}
	s.readers.window.poll, s.readers.renewal.after = cfg.Poll, cfg.Renew
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
	s.readers.start()
	s.begin()
	s.bell.RingAll()
	return err
}

// Mend begins a new epoch if something else has written into the header: a
// process that should not, or one that shrank the region and let it grow again.
// That may have misled readers in any way, and some never recover; a new epoch
// is what all of them follow. It costs the same for a region of any size, so
// one for each burst, the most that such a process can cause, is no burden.
// Each burst begins with it. Mend is for the time between; it leaves a Sender
// alone that is sending.
func (s *Sender) Mend() {
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	s.faulted(region.Guard(s.mend))
}

// mend is Mend under the lock and region.Guard.
func (s *Sender) mend() {
	if !s.w.Damaged() {
		return
	}
	s.w.Renew(0)
	s.begin()
	s.cfg.Log.Warn("new epoch on the out-channel: its header was overwritten")
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

// faulted stops the writer after a fault of the region; nil is none.
func (s *Sender) faulted(fault error) {
	if fault != nil {
		s.halt()
		s.cfg.OnFault(fault)
	}
}

// Close stops the writer and closes the doorbell. Nothing may be sent
// afterwards.
func (s *Sender) Close() {
	s.Stop()
	s.bell.Close()
}

// Status returns the present state.
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
		st.Epoch = s.w.Epoch() // it keeps that of the last session
	}
	return st
}
