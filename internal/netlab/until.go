package netlab

import (
	"context"
	"errors"
	"time"
)

// pause is the time between two looks at a state that nothing announces. It is
// far below what a person or a time limit notices, and costs little.
const pause = 5 * time.Millisecond

// Until calls done until it returns nil. When ctx ends before that, Until
// returns the cause of ctx; at a deadline, done's last error.
func Until(ctx context.Context, done func() error) error {
	for {
		err := done()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
				return cause
			}
			return err
		case <-time.After(pause):
		}
	}
}
