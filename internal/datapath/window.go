package datapath

import "time"

// window limits how fast elements are written for readers that nobody wakes:
// they look every poll, and what was overwritten between two looks is lost, for
// some of them all that comes afterwards as well. In no interval of poll more
// than half of the ring is published, so a reader may be late by another poll.
//
// It counts in quarters of the ring. Elements go out at any rate until a quarter
// is complete; the next quarter may begin when the one before the complete one
// is as old as poll:
//
//	quarters   1111 2222 ........... 3333 4444 ........... 5555
//	                             ^ 1 is poll old      ^ 3 is poll old
//
// The time is asked for once in a quarter. The zero window has no limit.
type window struct {
	poll     time.Duration // 0 = no limit
	quarter  int           // elements
	alone    bool          // the ring is so short that half of it is one quarter
	count    int           // elements of the quarter under way
	complete time.Duration // when the last quarter was complete, by clock
	until    time.Duration // nothing may be written before; 0 = that is now
}

// begin forgets what was written, for a ring of so many elements.
func (w *window) begin(elements int) {
	*w = window{poll: w.poll, quarter: max(1, elements/4), alone: elements < 4, complete: -w.poll}
}

// wrote counts n elements, which are room at most.
func (w *window) wrote(n int, clock func() time.Duration) {
	if w.poll == 0 {
		return
	}
	if w.count += n; w.count < w.quarter {
		return
	}
	w.count = 0
	before := w.complete
	w.complete = clock()
	if w.alone {
		before = w.complete
	}
	w.until = max(0, before+w.poll)
}

// room is how many elements may be written at once, at least 1, of n.
func (w *window) room(n int) int {
	if w.poll == 0 {
		return n
	}
	return min(n, w.quarter-w.count)
}

// letRead waits until the window lets more be written, unless a reader is found
// to sleep or somebody is in a hurry. The caller holds the lock, and not
// meanwhile: afterwards the writer may be another one, or none.
func (s *Sender) letRead() {
	waited := false
	for s.window.until != 0 && !s.wakes && s.w.Active() && s.rushed.Load() == 0 {
		left := s.window.until - s.now()
		if left <= 0 {
			s.window.until = 0
			return
		}
		if !waited {
			s.waits++
			waited = true
		}
		unrung := s.unrung
		s.mu.Unlock()
		// Who waits for a ring shall have it now.
		if unrung == 0 || !s.ring() {
			s.sleep(min(left, maxSleep))
		}
		s.mu.Lock()
	}
}
