package datapath

import "time"

// readers is what a writer knows of the readers of its channel, and what
// follows from it. A channel says nothing of its readers, so the writer infers:
// from what it has written, from rings that woke a reader, and from what the
// peer sends.
//
//	event                      method       next step
//	the writer starts          start
//	an epoch begins            begin
//	a burst begins             beforeBurst  renew
//	elements are to be written beforeWrite  ring, then sleep
//	elements were written      wrote
//	the burst goes on          between      ring, again and again
//	the burst ends             endBurst     ring
//	a ring is done             rang
//
// Readers are of two kinds. One that sleeps until it is rung for has read
// everything when it sleeps; a ring finds out. Once a ring has woken one, the
// writer rings until it is asleep again rather than be more than half a ring
// ahead. One that polls says nothing: for it there is the window, and in case
// it is stuck the renewal.
//
// readers has no clock, lock, log or memory of its own: a Sender supplies the
// events, and takes the steps.
type readers struct {
	elements, size int // of the ring: their number, and the bytes of each

	unrung int  // elements written since the last ring
	ahead  int  // elements written since a reader had read all others
	burst  int  // elements written in this burst
	wakes  bool // a ring has woken a reader in this epoch

	window  window  // for readers that poll
	renewal renewal // for one that is stuck
}

// step is what a writer does next. The zero step is to go on.
type step struct {
	// ring: ring the doorbell.
	ring bool
	// wait is how long to wait for a reader, unless the ring has woken one.
	wait time.Duration
	// renew is why to begin a new epoch; "" if not.
	renew string
}

// start forgets the peer: the writer starts. begin follows.
func (r *readers) start() { r.renewal.forget() }

// begin notes a new epoch. Its readers may be others than those of the last
// one.
func (r *readers) begin(now time.Duration, elements, size int) {
	r.elements, r.size = elements, size
	r.unrung, r.ahead, r.wakes = 0, 0, false
	r.window.begin(elements)
	r.renewal.begin(now)
}

// beforeBurst decides before a burst. written is how many elements the epoch
// has. A reader that sleeps until it is rung for is ours, and recovers from
// being overrun: its silence means nothing.
func (r *readers) beforeBurst(now time.Duration, written uint64, heard signs) step {
	why := r.renewal.due(now, written, uint64(r.elements), heard)
	if why == "" || (why == peerSilent && r.wakes) {
		return step{}
	}
	r.renewal.done(now, why)
	return step{renew: why}
}

// limited reports whether beforeWrite has to be asked before more is written.
func (r *readers) limited() bool { return r.window.until != 0 && !r.wakes }

// beforeWrite decides while limited. After the step it has to be asked again.
func (r *readers) beforeWrite(now time.Duration) step {
	left := r.window.left(now)
	if left == 0 {
		return step{}
	}
	return step{ring: r.unrung > 0, wait: min(left, maxSleep)}
}

// room is how many of n elements may be written at once, at least 1.
func (r *readers) room(n int) int {
	if r.wakes {
		return n
	}
	return r.window.room(n)
}

// wrote notes n elements, of which there was room for all. It reports whether
// complete must be called with the time.
func (r *readers) wrote(n int) (complete bool) {
	r.unrung += n
	r.ahead += n
	r.burst += n
	return !r.wakes && r.window.wrote(n)
}

// complete notes when the elements of the last wrote were written.
func (r *readers) complete(now time.Duration) { r.window.complete(now) }

// between decides between two packets of a burst. tells says whether rings are
// cheap and tell if a reader was asleep: where not, there is one ring per
// burst.
func (r *readers) between(tells bool) step {
	if r.wakes && r.ahead > r.elements/2 {
		return step{ring: true, wait: maxLag}
	}
	return step{ring: tells && r.unrung*r.size >= ringEvery}
}

// gaveUp notes that the wait after between has woken no reader. The next wait
// is after another half ring.
func (r *readers) gaveUp() { r.ahead = 0 }

// endBurst decides after a burst, and reports whether it was bulk traffic.
func (r *readers) endBurst() (next step, bulk bool) {
	bulk = r.burst > fewElements
	r.burst = 0
	return step{ring: r.unrung > 0}, bulk
}

// rang notes a ring, and whether it has woken a reader. What was written after
// the reader had fallen asleep is at most what had not been rung for.
func (r *readers) rang(woken bool) {
	if woken {
		r.wakes, r.ahead = true, r.unrung
	}
	r.unrung = 0
}
