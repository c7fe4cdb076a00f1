package datapath

import (
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/offload"
	"github.com/muennet/muennet/internal/region"
)

// send writes one packet into the channel. flush tells the readers.
func (s *Sender) send(packet []byte, mark uint32, count *TxCounters) {
	s.guard(s.one, nil, packet, mark, count)
}

// sendSegments sends the packets that segs cuts packet into.
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

// guard has write send its arguments and reports whether the writer still runs.
// After a fault of the region the writer is stopped before another device can
// send.
func (s *Sender) guard(write func(), segs *offload.Segments, packet []byte, mark uint32, count *TxCounters) bool {
	s.mu.Lock()
	if s.readers.limited() {
		s.await()
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

// check counts what cannot be sent, before elements are reserved: what is
// reserved must be written.
func (s *Sender) check(packet []byte) bool {
	if s.readers.burst == 0 {
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

// maxReserved is how many elements are reserved at a time. More of them move
// the counters less often; fewer leave more room to readers that lag.
const maxReserved = 16

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

// writeSegments has s.segs write into the next elements, a quarter of the ring
// at most.
func (s *Sender) writeSegments() {
	if !s.check(s.packet[:s.segs.MaxLen()]) {
		return
	}
	chunk := max(1, min(maxReserved, s.w.Elements()/8))
	left := s.readers.room(min(s.segs.Left(), max(1, s.w.Elements()/4)))
	for left > 0 {
		k := min(left, chunk)
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

// limit is the shorter of what an element of this epoch and the path take.
func (s *Sender) limit(path int) int {
	longest := int(s.longest.Load())
	if path != 0 && (longest == 0 || path < longest) {
		return path
	}
	return longest
}

// drop counts a packet that was refused before it was sent.
func (s *Sender) drop(r Reason, count *TxCounters) {
	s.mu.Lock()
	count.drop(r)
	s.mu.Unlock()
}

// counters returns the device's counters.
func (s *Sender) counters(count *TxCounters) TxCounters {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *count
}

// drop counts a packet that was not sent.
func (c *TxCounters) drop(r Reason) {
	c.Dropped++
	c.Reasons[r]++
}
