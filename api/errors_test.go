package api

import (
	"errors"
	"fmt"
	"testing"
)

// TestCodes pins the codes, which programs in other languages compare.
func TestCodes(t *testing.T) {
	want := map[error]string{
		ErrUnknown: "unknown", ErrChild: "child", ErrHeld: "held",
		ErrNotHeld: "not_held", ErrZeroMark: "zero_mark", ErrClosed: "closed", ErrLoaded: "loaded", ErrInUse: "in_use",
	}
	for err, code := range want {
		if got := CodeOf(fmt.Errorf("net0: %w", err)); got != code {
			t.Errorf("code of %q: %q, want %q", err, got, code)
		}
		if got := ErrorOf(code); got != err {
			t.Errorf("error of %q: %v, want %v", code, got, err)
		}
	}
	if len(codes) != len(want) {
		t.Errorf("%d codes, of which %d are tested", len(codes), len(want))
	}
	if code := CodeOf(errors.New("other")); code != "" {
		t.Errorf("code of another error: %q", code)
	}
	for _, code := range []string{"", "of a later version"} {
		if err := ErrorOf(code); err != nil {
			t.Errorf("error of %q: %v", code, err)
		}
	}
}
