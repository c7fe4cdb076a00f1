package datapath

import "time"

// window limits how fast elements are written for readers that poll. What is
// overwritten between two looks of theirs is lost, and for some of them all
// that comes later as well. In any interval of poll at most half of the ring is
// published, so a reader may miss every other look.
//
// The window counts in quarters of the ring. Elements go out at any rate until
// a quarter is complete. The next quarter may begin when the one before the
// complete one is as old as poll:
//
//	quarters   1111 2222 ........... 3333 4444 ........... 5555
//	                             ^ 1 is poll old      ^ 3 is poll old
//
// It needs the time once in a quarter. The zero window has no limit.
type window struct {
	poll    time.Duration // 0: no limit
	quarter int           // elements
	alone   bool          // the ring is so short that half of it is one quarter
	count   int           // elements of the present quarter
	last    time.Duration // when the last quarter was complete
	until   time.Duration // nothing may be written before; 0: write now
}

// begin forgets what was written, for a ring of so many elements.
func (w *window) begin(elements int) {
	*w = window{poll: w.poll, quarter: max(1, elements/4), alone: elements < 4, last: -w.poll}
}

// wrote counts n elements, at most as many as room allows. It reports whether
// the quarter is complete, so that complete must be called.
func (w *window) wrote(n int) bool {
	if w.poll == 0 {
		return false
	}
	w.count += n
	return w.count >= w.quarter
}

// complete ends a quarter.
func (w *window) complete(now time.Duration) {
	w.count = 0
	before := w.last
	w.last = now
	if w.alone {
		before = now
	}
	w.until = max(0, before+w.poll)
}

// room is how many of n elements may be written at once, at least 1.
func (w *window) room(n int) int {
	if w.poll == 0 {
		return n
	}
	return min(n, w.quarter-w.count)
}

// left is how long nothing may be written yet. 0 opens the window.
func (w *window) left(now time.Duration) time.Duration {
	left := max(0, w.until-now)
	if left == 0 {
		w.until = 0
	}
	return left
}
