package datapath

import "time"

// restraint bounds what a writer costs that keeps its reader busy and sends
// nothing: epochs that begin and end, elements that are no packets, counters that
// run in circles, rings for nothing. A few instructions of the peer's cost us a
// look each. After a second of such looks, each soon after the last, there is a rest
// after each, which grows. The first packet ends that.
//
// The zero restraint is ready for use.
type restraint struct {
	vain        bool          // the last look was in vain
	since, last time.Duration // when the first and the last of these looks were
	rest        time.Duration // the last one
}

const (
	// mostVain is how long looks may be in vain before there are rests, and how
	// long after the last one the next one counts as the first.
	mostVain = time.Second
	// The rests between looks. A channel of 1 MiB that is full of packets again
	// after the longest one moves 80 Mbit/s: a writer in good faith loses little.
	firstRest = 10 * time.Millisecond
	mostRest  = 100 * time.Millisecond
)

// found tells of a look that found packets.
func (r *restraint) found() { r.vain = false }

// inVain tells of a look that had a reason and found none, and returns how long
// to rest.
func (r *restraint) inVain(now time.Duration) time.Duration {
	if !r.vain || now-r.last > mostVain {
		r.vain, r.since, r.rest = true, now, 0
	}
	r.last = now
	if now-r.since < mostVain {
		return 0
	}
	r.rest = min(max(2*r.rest, firstRest), mostRest)
	return r.rest
}

// restrain rests after a burst if too many were in vain lately. sign says whether
// the writer has asked for this one.
func (in *Inbound) restrain(sign bool) {
	if in.good {
		in.restraint.found()
		return
	}
	if !sign && in.moved == 0 && !in.turned {
		return
	}
	if d := in.restraint.inVain(in.now()); d > 0 {
		in.mu.Lock()
		waitFor(in.change, d, func() bool { return in.want != run })
		in.mu.Unlock()
	}
}
