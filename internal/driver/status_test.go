package driver

import (
	"os"
	"strings"
	"testing"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/datapath"
)

// TestDropsAreDocumented: docs/api.md names each reason that can be a key of
// Drops.
func TestDropsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Reasons of drops")
	section, _, _ = strings.Cut(section, "\n#")
	reasons := []string{"mark_overflow", "mark_mismatch"}
	for f := element.OK + 1; f < element.NumFaults; f++ {
		reasons = append(reasons, f.String())
	}
	for r := range datapath.Reason(datapath.NumReasons) {
		reasons = append(reasons, r.String())
	}
	for _, r := range reasons {
		if !strings.Contains(section, "\n| "+r+" |") {
			t.Errorf("docs/api.md has no reason %s", r)
		}
	}
	if rows := strings.Count(section, "\n| ") - 1; rows != len(reasons) { // the head
		t.Errorf("docs/api.md has %d reasons, want %d", rows, len(reasons))
	}
}
