package cli

import (
	"slices"
	"strings"
	"testing"
)

func TestSplitOptions(t *testing.T) {
	got, err := splitOptions(`poll=5  name="a b" poll=7`)
	if err != nil || !slices.Equal(got, []string{"name=a b", "poll=7"}) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := splitOptions(`name="a b`); err == nil || !strings.Contains(err.Error(), "a double quote is not closed") {
		t.Errorf("an open quote: %q, %v", got, err)
	}
}
