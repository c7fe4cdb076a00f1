package testnet

import (
	"sync"
	"testing"
)

// ShortenSettle makes leak checks give up after the first look, until t ends.
func ShortenSettle(t *testing.T) {
	old := settle
	settle = 0
	t.Cleanup(func() { settle = old })
}

// OnSettle makes the first leak check that finds something call f before it
// looks again, until t ends.
func OnSettle(t *testing.T, f func()) {
	old := betweenLooks
	var once sync.Once
	betweenLooks = func() {
		once.Do(f)
		old()
	}
	t.Cleanup(func() { betweenLooks = old })
}
