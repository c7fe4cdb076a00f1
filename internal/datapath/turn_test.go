package datapath

import (
	"slices"
	"testing"
	"time"
)

// A turn ends before Go's monitor ends it, and is longer than a burst.
func TestTurn(t *testing.T) {
	const monitor = 10 * time.Millisecond // forcePreemptNS of runtime/proc.go
	var own turn
	var ends []time.Duration
	for now := time.Second; now < time.Second+time.Minute; now += 100 * time.Microsecond {
		if own.over(now) {
			ends = append(ends, now)
		}
	}
	for i, end := range ends[1:] {
		if d := end - ends[i]; d < monitor/4 || d > monitor*3/4 {
			t.Fatalf("turn %d takes %v", i, d)
		}
	}
	if !slices.IsSorted(ends) || ends[0] != time.Second {
		t.Errorf("turns end at %v...", ends[:2])
	}
}
