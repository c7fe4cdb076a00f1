package datapath

import (
	"time"

	"github.com/muennet/muennet/internal/region"
)

// A Sender reports to its readers, and takes the steps that they decide.

// begin notes that an epoch has begun. The caller holds the lock.
func (s *Sender) begin() {
	s.readers.begin(s.now(), s.w.Elements(), s.w.Size())
	s.longest.Store(int64(s.cfg.Format.MaxPacket(s.w.Size())))
}

// revive is called before a burst. It begins a new epoch for a peer that seems
// to be stuck.
func (s *Sender) revive() {
	if s.cfg.Renew == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.w.Active() {
		return
	}
	written := s.w.Written()
	next := s.readers.beforeBurst(s.now(), written, s.cfg.Pulse.signs())
	if next.renew == "" {
		return
	}
	s.renewals++
	if fault := region.Guard(func() { s.w.Renew(s.w.Epoch() + 1) }); fault != nil {
		s.faulted(fault)
		return
	}
	s.begin()
	s.cfg.Log.Warn("new epoch on the out-channel: its reader may be stuck", "reason", next.renew, "written", written, "renewals", s.renewals)
	s.bell.RingAll()
}

// await sleeps until the readers let more be written, or a caller of hurry
// cannot wait. The caller holds the lock. It is free during the sleep:
// afterwards the writer may be another one, or stopped.
func (s *Sender) await() {
	waited := false
	for s.readers.limited() && s.w.Active() && s.rushed.Load() == 0 {
		next := s.readers.beforeWrite(s.now())
		if next == (step{}) {
			return
		}
		if !waited {
			s.waits++
			waited = true
		}
		s.mu.Unlock()
		// Ring first: a reader may be asleep.
		if !next.ring || !s.ring() {
			s.sleep(next.wait)
		}
		s.mu.Lock()
	}
}

// wrote notes n elements. The caller holds the lock.
func (s *Sender) wrote(n int) {
	s.count.Packets += uint64(n)
	if s.readers.wrote(n) {
		s.readers.complete(s.now())
	}
}

// pace is called between packets. It rings so that a reader can begin while the
// burst goes on, and lets one that lags catch up.
func (s *Sender) pace() {
	s.mu.Lock()
	next := s.readers.between(s.bell.Tells())
	s.mu.Unlock()
	if next.ring && !s.ring() && next.wait > 0 {
		s.catchUp(next.wait)
	}
}

// catchUp rings for up to d until a reader was asleep, and so has read
// everything.
func (s *Sender) catchUp(d time.Duration) {
	for begin, rings := s.now(), 0; !spent(s.now()-begin, rings, d); rings++ {
		yield()
		if s.ring() {
			return
		}
	}
	s.mu.Lock()
	s.readers.gaveUp()
	s.mu.Unlock()
}

// flush ends a burst: it rings for what was written since the last ring.
func (s *Sender) flush() {
	s.mu.Lock()
	next, bulk := s.readers.endBurst()
	s.bulk.Store(bulk)
	s.mu.Unlock()
	if next.ring {
		s.ring()
	}
}

// ring rings the doorbell and reports whether that has woken a reader.
func (s *Sender) ring() (woken bool) {
	woken = s.bell.Ring()
	s.mu.Lock()
	s.readers.rang(woken)
	s.mu.Unlock()
	return woken
}

// sendsBulk reports whether the last burst was bulk traffic.
func (s *Sender) sendsBulk() bool { return s.bulk.Load() }

// hurry keeps await from waiting, or with -1 lets it wait again.
func (s *Sender) hurry(by int32) { s.rushed.Add(by) }
