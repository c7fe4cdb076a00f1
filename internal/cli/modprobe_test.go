package cli

import (
	"slices"
	"testing"
)

func TestSplitOptions(t *testing.T) {
	for _, tc := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{" \t ", nil},
		{"name=net0 in=a|in out=%d$x", []string{"name=net0", "in=a|in", "out=%d$x"}},
		{`  name="a b"  c="" `, []string{"name=a b", "c="}},
		{`in="/x y"/z out=\n#`, []string{"in=/x y/z", `out=\n#`}},
		{`""`, []string{""}},
		{"poll=5 name=a poll=7", []string{"name=a", "poll=7"}},
		{"name=a name=b name=a", []string{"name=a"}},
		{"flag name=a flag", []string{"name=a", "flag"}},
	} {
		if got, err := splitOptions(tc.text); err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%q: %q, %v, want %q", tc.text, got, err, tc.want)
		}
	}
}
