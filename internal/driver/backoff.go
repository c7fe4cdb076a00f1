package driver

import "time"

// Pauses between tries: the first one, and the longest.
const (
	firstRetry = time.Second
	mostRetry  = 8 * time.Second
)

// backoff says when to try again what has failed: after a second, and after
// twice as long each further time, up to eight. The zero value has nothing to wait
// for.
type backoff struct {
	pause time.Duration
	next  time.Time
}

// begin is called when something fails that has worked. If that was not for
// long, twice the pause, the pause goes on growing: so a peer that makes it fail
// again and again has to wait.
func (b *backoff) begin() {
	if time.Since(b.next) > 2*b.pause {
		b.pause = 0
	}
	b.again()
}

// again is called when a try has failed.
func (b *backoff) again() {
	b.pause = min(max(2*b.pause, firstRetry), mostRetry)
	b.next = time.Now().Add(b.pause)
}

// due tells whether to try.
func (b *backoff) due() bool { return !time.Now().Before(b.next) }
