package datapath

import (
	"runtime"
	"time"

	"github.com/muennet/muennet/internal/doorbell"
)

// turn is how long a goroutine has held its P. The zero turn begins when it is
// first asked to end.
type turn struct{ begun time.Duration }

// end lets other goroutines run: always if there are few Ps, otherwise once in
// maxTurn. Yielding is not free: another thread wakes up to go on with this
// goroutine.
func (t *turn) end() {
	if doorbell.Crowded() || t.over(clock()) {
		runtime.Gosched()
	}
}

// over reports whether the turn is over, and if so begins the next one.
func (t *turn) over(now time.Duration) bool {
	if now-t.begun < maxTurn {
		return false
	}
	t.begun = now
	return true
}
