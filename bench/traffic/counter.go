package traffic

import (
	"sync/atomic"
	"time"
)

// counter counts units while another goroutine looks at it. Each has a cache
// line of its own.
type counter struct {
	n atomic.Uint64
	_ [56]byte
}

type counters []counter

func (c counters) sum() (sum uint64) {
	for i := range c {
		sum += c[i].n.Load()
	}
	return sum
}

// keep sleeps through the window and returns what it saw.
func (c counters) keep(w Window) (r Result) {
	SleepUntil(w.From)
	first, from := c.sum(), Now()
	SleepUntil(w.To)
	r.Units = c.sum() - first
	r.Took = time.Duration(Now() - from)
	return r
}
