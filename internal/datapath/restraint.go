package datapath

import "time"

// restraint bounds what a writer costs that keeps its reader busy and sends
// nothing: epochs that begin and end, elements without packets, counters that
// run in circles, rings for nothing. Each costs the peer a few instructions and
// us a look. After maxVain of such looks, each soon after the last, the reader
// rests after each look, longer each time. The first packet ends that.
//
// The zero restraint is ready for use.
type restraint struct {
	vain        bool          // the last look was in vain
	since, last time.Duration // the first and the last of these looks
	rest        time.Duration // the last rest
}

// found notes a look that found packets.
func (r *restraint) found() { r.vain = false }

// inVain notes a look that had a reason and found no packets. It returns how
// long to rest.
func (r *restraint) inVain(now time.Duration) time.Duration {
	if !r.vain || now-r.last > maxVain {
		r.vain, r.since, r.rest = true, now, 0
	}
	r.last = now
	if now-r.since < maxVain {
		return 0
	}
	r.rest = min(max(2*r.rest, minRest), maxRest)
	return r.rest
}

// restrain rests after a burst if too many were in vain lately. asked says
// whether the writer has asked for this one, by a ring or by changing the
// channel.
func (in *Inbound) restrain(asked bool) {
	if in.good {
		in.restraint.found()
		return
	}
	if !asked && in.moved == 0 && !in.turned {
		return
	}
	if d := in.restraint.inVain(in.now()); d > 0 {
		in.mu.Lock()
		waitFor(in.change, d, func() bool { return in.want != run })
		in.mu.Unlock()
	}
}
