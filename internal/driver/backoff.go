package driver

import "time"

// backoff says when to try again after a failure: after firstRetry, then after
// twice as long each time, up to mostRetry. The zero value does not wait.
type backoff struct {
	pause time.Duration
	next  time.Time
}

// begin is called when something fails that has worked. If it worked for less
// than twice the pause, the pause goes on growing: a peer that makes it fail
// again and again has to wait.
func (b *backoff) begin() {
	if time.Since(b.next) > 2*b.pause {
		b.pause = 0
	}
	b.again()
}

// again is called after a try has failed.
func (b *backoff) again() {
	b.pause = min(max(2*b.pause, firstRetry), mostRetry)
	b.next = time.Now().Add(b.pause)
}

// due reports whether to try.
func (b *backoff) due() bool { return !time.Now().Before(b.next) }
