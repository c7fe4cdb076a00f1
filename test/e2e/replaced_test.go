package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/region"
)

// Something cleans the channel directory, and the channels are made anew: both
// ends say so, go on with the old files, and follow to the new ones.
func TestChannelsAreMadeAnew(t *testing.T) {
	begin(t)
	p := newPair(t, "net_hdr")
	p.up()
	hosts := []*host{p.a, p.b}
	both := func(what string, ok func(c api.Channel) bool) {
		t.Helper()
		for _, h := range hosts {
			h.awaitShow("net0", what, func(s api.Interface) bool { return ok(s.Reader.Channel) && ok(s.Writer.Channel) })
		}
	}
	ping := newPinger(t, p.a, addrA, addrB)
	ping.sweep(0, 100)
	if err := os.RemoveAll(p.a.channels); err != nil {
		t.Fatal(err)
	}
	both("the files are gone", func(c api.Channel) bool { return strings.Contains(c.File, "removed") && c.Enabled })
	if text := p.a.must("show", "net0"); !strings.Contains(text, "its directory is gone") {
		t.Errorf("show says nothing of it:\n%s", text)
	}
	ping.sweep(0, 100)
	for _, name := range []string{filepath.Base(p.a.show("net0").In), filepath.Base(p.a.show("net0").Out)} {
		if err := region.Create(p.a.channels, name, 1<<20, region.DefaultMode); err != nil {
			t.Fatal(err)
		}
	}
	both("the new files are taken over", func(c api.Channel) bool { return c.Replaced == 1 && c.File == "" && c.Enabled })
	for _, h := range hosts {
		h.awaitShow("net0", "the peer is active", func(s api.Interface) bool { return s.Reader.Peer == "active" })
	}
	ping.sweep(0, 100)
}
