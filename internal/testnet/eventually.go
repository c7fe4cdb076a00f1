package testnet

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/netlab"
)

// Patience bounds every wait of a test. It is reached only when something is
// broken, so it is far longer than a slow machine or an emulated one needs.
const Patience = 90 * time.Second

// Eventually waits until ok returns true. If that takes longer than Patience
// the test fails, with what as the reason: a statement such as "the peer is
// active".
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	notYet := errors.New(what)
	EventuallyNil(t, func() error {
		if ok() {
			return nil
		}
		return notYet
	})
}

// EventuallyNil waits until done returns nil. If that takes longer than
// Patience the test fails, with done's last error as the reason.
func EventuallyNil(t testing.TB, done func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := netlab.Until(ctx, done); err != nil {
		t.Fatalf("waited %v in vain: %v", Patience, err)
	}
}
