package datapath

import (
	"sync"
	"time"
)

// order is what a forwarder's goroutine has been told to do.
type order uint8

const (
	pause order = iota
	run
	quit
)

// waitFor waits until the condition is true, for d at most. Each change of what
// the condition depends on must be broadcast. The caller holds the lock.
func waitFor(change *sync.Cond, d time.Duration, condition func() bool) {
	over := false
	timer := time.AfterFunc(d, func() {
		change.L.Lock()
		defer change.L.Unlock()
		over = true
		change.Broadcast()
	})
	defer timer.Stop()
	for !over && !condition() {
		change.Wait()
	}
}
