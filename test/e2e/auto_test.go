package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/region"
)

// A host finds its channels by itself, its peer is told them: one pair by the
// suffixes, one by the modes, and one that is none.
func TestAuto(t *testing.T) {
	begin(t)
	dir := makeChannels(t, "a|in", "a|out", "b|out", "c|in")
	if err := region.Create(dir, "b|in", 1<<20, 0o400); err != nil {
		t.Fatal(err)
	}
	h, peer := newHost(t, dir), newHost(t, dir)

	list := h.must("load", "auto", "--dry-run")
	lines := strings.Split(strings.TrimSpace(list), "\n")
	if len(lines) != 6 || !strings.Contains(lines[3], "b|in") || !strings.HasPrefix(lines[5], "skipped: c: half a pair") {
		t.Errorf("the dry run lists\n%s", list)
	}
	if left := h.aliases(); len(left) > 0 || h.pid() != 0 {
		t.Fatalf("a dry run left %q, process %d", left, h.pid())
	}

	if r := h.muennet("load", "auto", "--strict"); r.code != 1 || !strings.Contains(r.stderr, filepath.Base(dir)) || len(h.aliases()) > 0 || h.pid() != 0 {
		t.Errorf("half a pair with --strict: %+v, interfaces %q, process %d", r, h.aliases(), h.pid())
	}
	r := h.muennet("load", "auto")
	if r.code != 0 || !strings.HasPrefix(r.stderr, "muennet: skipped c: half a pair") || strings.Count(r.stderr, "\n") != 1 {
		t.Fatalf("half a pair: %+v", r)
	}
	if got, want := h.aliases(), []string{"muennet in=a|out out=a|in", "muennet in=b|in out=b|out"}; !slices.Equal(got, want) {
		t.Fatalf("interfaces %q, want %q", got, want)
	}
	peer.load("name=net0,net1", "in=a|in,b|out", "out=a|out,b|in", "flags=eth_dev,eth_dev",
		"reader_protocol=7ade5c549b08e814,7ade5c549b08e814", "writer_protocol=7ade5c549b08e814,7ade5c549b08e814")

	links := []struct{ name, ours, theirs string }{
		{"net0", "169.254.169.2", "169.254.169.1"},
		{"net1", "169.254.200.2", "169.254.200.1"},
	}
	for _, l := range links {
		h.Up(l.name, l.ours+"/24")
		peer.Up(l.name, l.theirs+"/24")
	}
	for _, l := range links {
		for _, end := range []*host{h, peer} {
			end.awaitShow(l.name, "the peer is active", func(s api.Interface) bool { return s.Reader.Peer == "active" })
		}
		newPinger(t, h, l.ours, l.theirs).sweep(0, 100)
		newPinger(t, peer, l.theirs, l.ours).sweep(1500-overhead4-10, 1500-overhead4)
	}
	// The list is of a live system now.
	list = h.must("load", "auto", "--dry-run")
	if strings.Contains(list, "inactive") || strings.Contains(list, "warning") || strings.Count(list, "0x7ade5c549b08e814") != 8 {
		t.Errorf("while all are active the dry run lists\n%s", list)
	}
}
