package datapath

import (
	"fmt"
	"testing"
	"time"
)

// event is one thing that happens to readers at a time.
type event func(r *readers, now time.Duration) step

func starts(elements, size int) event {
	return func(r *readers, now time.Duration) step { r.start(); r.begin(now, elements, size); return step{} }
}

func renews(r *readers, now time.Duration) step { r.begin(now, r.elements, r.size); return step{} }

// writes asks for room until n elements are written.
func writes(n int) event {
	return func(r *readers, now time.Duration) step {
		for n := n; n > 0; {
			k := r.room(n)
			if r.wrote(k) {
				r.complete(now)
			}
			n -= k
		}
		return step{}
	}
}

func between(r *readers, _ time.Duration) step     { return r.between(true) }
func betweenDeaf(r *readers, _ time.Duration) step { return r.between(false) }
func gaveUp(r *readers, _ time.Duration) step      { r.gaveUp(); return step{} }
func endBurst(r *readers, _ time.Duration) step    { next, _ := r.endBurst(); return next }
func wakes(r *readers, _ time.Duration) step       { r.rang(true); return step{} }
func ringsInVain(r *readers, _ time.Duration) step { r.rang(false); return step{} }

// waits is a step of await.
func waits(r *readers, now time.Duration) step {
	if !r.limited() {
		return step{}
	}
	return r.beforeWrite(now)
}

// bursts is the beginning of a burst, in an epoch of so many elements. The peer
// was last heard then, and has started so often.
func bursts(written uint64, heard time.Duration, starts uint64) event {
	return func(r *readers, now time.Duration) step {
		return r.beforeBurst(now, written, signs{heard: heard, starts: starts, active: true})
	}
}

func TestReaders(t *testing.T) {
	const (
		size = 1508
		long = ringEvery/size + 1 // elements that are rung for within a burst
		ms   = time.Millisecond
		s    = time.Second
	)
	ring, goOn := step{ring: true}, step{}
	lag := step{ring: true, wait: maxLag}
	silent, started := step{renew: peerSilent}, step{renew: peerStarted}
	type row struct {
		at    time.Duration
		event event
		want  step
	}
	for _, c := range []struct {
		what        string
		poll, renew time.Duration
		rows        []row
	}{
		{"a burst is rung for once", 0, 0, []row{
			{0, starts(691, size), goOn},
			{0, endBurst, goOn},
			{0, writes(3), goOn}, {0, between, goOn}, {0, endBurst, ring}, {0, ringsInVain, goOn},
			{0, endBurst, goOn},
		}},
		{"a long burst is rung for while it goes on", 0, 0, []row{
			{0, starts(691, size), goOn},
			{0, writes(long - 1), goOn}, {0, between, goOn},
			{0, writes(1), goOn}, {0, between, ring}, {0, ringsInVain, goOn},
			{0, between, goOn}, {0, endBurst, goOn},
		}},
		{"but not by a bell that is dear", 0, 0, []row{
			{0, starts(691, size), goOn},
			{0, writes(10 * long), goOn}, {0, betweenDeaf, goOn}, {0, endBurst, ring},
		}},
		{"a reader that wakes up may lag by half of the ring", 0, 0, []row{
			{0, starts(20, size), goOn},
			{0, writes(30), goOn}, {0, between, goOn}, // none is known to sleep
			{0, wakes, goOn}, {0, between, lag}, // all 30 were written while it slept
			{0, wakes, goOn}, {0, between, goOn},
			{0, writes(10), goOn}, {0, between, goOn},
			{0, writes(1), goOn}, {0, between, lag},
			{0, ringsInVain, goOn}, {0, between, lag},
			{0, gaveUp, goOn}, {0, between, goOn},
			{0, writes(10), goOn}, {0, between, goOn},
			{0, writes(1), goOn}, {0, between, lag},
			{0, wakes, goOn}, {0, between, lag}, // it had fallen asleep before these 11
			{0, wakes, goOn}, {0, between, goOn},
		}},
		{"a new epoch may have other readers", ms, 0, []row{
			{0, starts(8, size), goOn},
			{0, wakes, goOn},
			{0, writes(100), goOn}, {0, waits, goOn}, {0, between, lag},
			{0, renews, goOn}, {0, between, goOn},
			{0, writes(4), goOn}, {0, waits, step{ring: true, wait: ms}},
		}},
		{"a reader that polls gets half of the ring in each poll", ms, 0, []row{
			{1 * s, starts(8, size), goOn},
			{1 * s, writes(2), goOn}, {1 * s, waits, goOn},
			{1*s + ms/4, writes(2), goOn}, {1*s + ms/4, waits, step{ring: true, wait: ms * 3 / 4}},
			{1*s + ms/4, ringsInVain, goOn}, {1*s + ms/4, waits, step{wait: ms * 3 / 4}},
			{1*s + ms/2, waits, step{wait: ms / 2}},
			{1*s + ms, waits, goOn}, {1*s + ms, writes(2), goOn},
			{1*s + ms, waits, step{ring: true, wait: ms / 4}}, {1*s + ms, wakes, goOn},
			{1*s + ms, waits, goOn}, {1*s + ms, writes(100), goOn}, {1*s + ms, waits, goOn},
		}},
		{"no sleep is long", time.Hour, 0, []row{
			{0, starts(8, size), goOn},
			{0, writes(4), goOn}, {0, ringsInVain, goOn}, {0, waits, step{wait: maxSleep}},
			{maxSleep, waits, step{wait: maxSleep}},
			{time.Hour - 1, waits, step{wait: 1}},
			{time.Hour, waits, goOn},
		}},
		{"a silent peer gets a new epoch", 0, 2 * s, []row{
			{10 * s, starts(8, size), goOn},
			{11 * s, bursts(0, 11*s, 0), goOn},
			{12 * s, bursts(9, 11*s, 0), goOn},
			{13 * s, bursts(10, 11*s, 0), silent}, {13 * s, renews, goOn},
			{14 * s, bursts(9, 11*s, 0), goOn}, {16 * s, bursts(20, 11*s, 0), goOn},
			{17*s - 1, bursts(21, 11*s, 0), goOn},
			{17 * s, bursts(22, 11*s, 0), silent}, // after twice as long
		}},
		{"a peer that is heard is not stuck", 0, 2 * s, []row{
			{10 * s, starts(8, size), goOn},
			{11 * s, bursts(9, 11*s, 0), goOn}, {12 * s, bursts(18, 12*s, 0), goOn},
			{13 * s, bursts(27, 13*s, 0), goOn}, {14 * s, bursts(36, 13*s, 0), goOn},
			{14 * s, bursts(45, 14*s, 0), goOn},
		}},
		{"a peer that was never heard has nothing to say", 0, 2 * s, []row{
			{10 * s, starts(8, size), goOn},
			{11 * s, bursts(9, 0, 0), goOn}, {12 * s, bursts(18, 0, 0), goOn}, {900 * s, bursts(99, 0, 0), goOn},
		}},
		{"less than a ring overruns no reader", 0, 2 * s, []row{
			{10 * s, starts(8, size), goOn},
			{11 * s, bursts(0, 11*s, 0), goOn}, {12 * s, bursts(4, 11*s, 0), goOn}, {99 * s, bursts(8, 11*s, 0), goOn},
			{99 * s, bursts(9, 11*s, 0), silent},
		}},
		{"a peer that starts cannot read what is gone", 0, 2 * s, []row{
			{10 * s, starts(8, size), goOn},
			{11 * s, bursts(4, 0, 1), goOn},
			{12 * s, bursts(5, 0, 2), started}, {12 * s, renews, goOn},
			{15 * s, bursts(5, 0, 2), goOn},
			{15 * s, bursts(5, 0, 3), started}, {15 * s, renews, goOn},
			{17*s - 1, bursts(5, 0, 4), goOn}, {17 * s, bursts(5, 0, 4), started},
		}},
		{"silence of a reader that wakes up means nothing", 0, 2 * s, []row{
			{10 * s, starts(8, size), goOn},
			{11 * s, bursts(0, 11*s, 1), goOn}, {11 * s, wakes, goOn},
			{12 * s, bursts(9, 11*s, 1), goOn}, {13 * s, bursts(18, 11*s, 1), goOn},
			{14 * s, bursts(27, 11*s, 2), started},
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			var r readers
			r.window.poll, r.renewal.after = c.poll, c.renew
			for i, row := range c.rows {
				if got := row.event(&r, row.at); got != row.want {
					t.Fatalf("row %d: %+v, want %+v", i, got, row.want)
				}
			}
		})
	}
}

// More than a few elements in a burst are bulk traffic.
func TestReadersTellBulk(t *testing.T) {
	var r readers
	r.begin(0, 100, 1508)
	for _, n := range []int{0, 1, fewElements, fewElements + 1, 1, 90, 0} {
		writes(n)(&r, 0)
		if _, bulk := r.endBurst(); bulk != (n > fewElements) {
			t.Errorf("%d elements: bulk %v", n, bulk)
		}
	}
}

// The time is needed once in a quarter of the ring, and not at all for readers
// that a ring has woken.
func TestReadersSeldomNeedTheTime(t *testing.T) {
	var r readers
	r.window.poll = time.Millisecond
	r.begin(0, 100, 1508)
	const quarters = 10
	asked := 0
	write := func() {
		for i := range time.Duration(quarters * 25) {
			now := i * time.Millisecond
			if r.limited() {
				asked++
				r.beforeWrite(now)
			}
			if r.wrote(1) {
				asked++
				r.complete(now)
			}
		}
	}
	if write(); asked == 0 || asked > 2*quarters {
		t.Errorf("asked %d times for the time in %d quarters", asked, quarters)
	}
	r.rang(true)
	asked = 0
	if write(); asked > 0 {
		t.Errorf("asked %d times for the time, and the reader is woken", asked)
	}
}

// In any interval of poll at most half of the ring is published, for any ring
// and any rhythm of packets.
func TestWindow(t *testing.T) {
	const poll = time.Millisecond
	rhythms := map[string]func(i int) time.Duration{
		"at once":      func(int) time.Duration { return 0 },
		"one by one":   func(int) time.Duration { return 30 * time.Microsecond },
		"slowly":       func(int) time.Duration { return 700 * time.Microsecond },
		"then at once": func(i int) time.Duration { return time.Duration(max(0, 100-i)) * 9 * time.Microsecond },
		"in bursts": func(i int) time.Duration {
			if i%37 == 0 {
				return 950 * time.Microsecond
			}
			return 0
		},
	}
	for name, pause := range rhythms {
		for _, elements := range []int{1, 2, 3, 4, 5, 7, 8, 13, 100, 691} {
			t.Run(fmt.Sprint(name, "/", elements), func(t *testing.T) {
				var r readers
				r.window.poll = poll
				now := time.Hour
				starts(elements, 1508)(&r, now)
				var at []time.Duration // when each element was written
				half, waited := max(1, elements/2), false
				for i := range 20*elements + 200 {
					now += pause(i)
					for next := waits(&r, now); next.wait > 0; next = waits(&r, now) {
						r.rang(false)
						now += next.wait
						waited = true
					}
					writes(1)(&r, now)
					at = append(at, now)
					if i >= half && at[i]-at[i-half] < poll {
						t.Fatalf("elements %d to %d within %v", i-half, i, at[i]-at[i-half])
					}
				}
				if name != "at once" {
					return
				}
				if !waited {
					t.Error("no element waited")
				}
				// The limit is half a ring in each poll, and not much less.
				if limit := time.Duration(len(at)/half+3) * poll; elements%4 == 0 && at[len(at)-1]-at[0] > limit {
					t.Errorf("%d elements took %v, more than %v", len(at), at[len(at)-1]-at[0], limit)
				}
			})
		}
	}
}
