package driver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
)

// Two different names of one file are not two channels.
func TestBothDirectionsInOneFile(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	link := filepath.Join(l.dir, "link")
	if err := os.Link(filepath.Join(l.dir, "a"), link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in, out, pmtu string
		refused       bool
	}{
		{"a", "link", "", true},
		{"a", filepath.Join(l.dir, "a"), "", true},
		{"a@0+32K", "link@24K+32K", "", true},
		{"b", "link", "a", true},
		{"b", "a@0+32K", "a@24K+32K", true},
		{"b", "a", "b", false},
		{"a@0+32K", "link@32K+32K", "", false},
	} {
		i := netHdr("net0")
		i.In, i.Out, i.PMTU = c.in, c.out, c.pmtu
		_, err := l.load(d, i)
		if refused := err != nil && (strings.Contains(err.Error(), "are the same memory") || strings.Contains(err.Error(), "overlaps in")); refused != c.refused || err != nil && !refused {
			t.Errorf("in %s, out %s, pmtu %s: %v", c.in, c.out, c.pmtu, err)
		}
		must(t, d.UnloadAll())
	}
	if names := l.ns.Names(); len(names) != 0 {
		t.Errorf("interfaces are left: %v", names)
	}
}

// The in-channel's file is not used when it later replaces the out-channel's.
func TestTakeOverKeepsDirectionsApart(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	s := status(t, d)
	in, out := filepath.Join(l.dir, s.In), filepath.Join(l.dir, s.Out)
	must(t, os.Remove(out))
	must(t, os.Link(in, out))
	testnet.Eventually(t, "notice of the file", func() bool {
		return strings.Contains(status(t, d).Writer.File, "are the same memory")
	})
	must(t, os.Remove(out))
	must(t, region.Create(l.dir, s.Out, 64<<10, region.DefaultMode))
	testnet.Eventually(t, "takeover", func() bool { return status(t, d).Writer.Replaced == 1 })
}
