package driver

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/shmstream"
)

// A file that is not a channel is not written, except with force.
func TestOutIsNoChannel(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	path := filepath.Join(l.dir, "precious")
	precious := bytes.Repeat([]byte("precious"), 8<<10)
	must(t, os.WriteFile(path, precious, 0o600))
	intact := func() bool {
		now, err := os.ReadFile(path)
		must(t, err)
		return bytes.Equal(now, precious)
	}
	i := netHdr("net0")
	i.Out = path
	if _, err := l.load(d, i); !errors.Is(err, region.ErrNoChannel) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "force=1") {
		t.Errorf("load: %v", err)
	}
	if names := l.ns.Names(); len(names) > 0 || !intact() {
		t.Errorf("after the refusal: interfaces %v, file intact %v", names, intact())
	}
	i.Force = true
	l.mustLoad(d, i)
	l.up(d, "net0")
	testnet.Eventually(t, "an epoch in the file", func() bool { return status(t, d).Writer.Epoch != "0x0" })
	if intact() {
		t.Error("a forced writer has not written")
	}
	// It leaves a channel, which needs no force.
	must(t, d.Unload("net0"))
	i.Force = false
	l.mustLoad(d, i)
}

// A file that is not a channel can be read: a writer may come. Its contents are
// not shown, as users who cannot read it may ask for load and show.
func TestInIsNoChannel(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	secret := bytes.Repeat([]byte("\x81\x92\xa3\xb4\xc5\xd6\xe7\xf8"), 512)
	silent := bytes.Clone(secret) // its epoch says that there is no writer
	clear(silent[shmstream.EpochOffset:shmstream.ProtocolOffset])
	for _, c := range []struct {
		name, peer, reason string
		bytes              []byte
	}{
		{"silent", "inactive", "neither a channel nor all zeros", silent},
		{"secret", "incompatible", "transport is not 0x487312b6b79a9b6d: not a channel", secret},
	} {
		path := filepath.Join(l.dir, c.name)
		must(t, os.WriteFile(path, c.bytes, 0o600))
		i := netHdr("net0")
		i.In = c.name
		l.mustLoad(d, i)
		l.up(d, "net0")
		testnet.Eventually(t, c.name+": the reason", func() bool {
			r := status(t, d).Reader
			return r.Peer == c.peer && r.Reason == c.reason
		})
		if n := l.log.count("in-channel holds something else until a writer starts"); n != 1 {
			t.Errorf("%s: %d lines in the log, want 1", c.name, n)
		}
		shown, err := json.Marshal(d.Status())
		must(t, err)
		for _, word := range []string{"8192a3b4c5d6e7f8", "f8e7d6c5b4a39281"} { // in either byte order
			if strings.Contains(string(shown), word) || l.log.contains(word) {
				t.Errorf("%s: the word %s is told: %s", c.name, word, shown)
			}
		}
		// A writer may come.
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		must(t, err)
		_, err = f.Write(make([]byte, len(c.bytes)))
		must(t, errors.Join(err, f.Close()))
		l.peer(c.name).start()
		testnet.Eventually(t, c.name+": the writer is followed", func() bool {
			r := status(t, d).Reader
			return r.Peer == "active" && r.Reason == ""
		})
		must(t, d.Unload("net0"))
		l.log.Reset()
	}
}

// In a directory given by name, channels may belong to any user: a warning says
// so.
func TestOwner(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	must(t, os.Chown(filepath.Join(l.dir, "b"), 54321, 54321))
	l.mustLoad(d, netHdr("net0"))
	s := status(t, d)
	if s.Reader.Owner != "root" || s.Writer.Owner != "54321" {
		t.Errorf("owners %q and %q", s.Reader.Owner, s.Writer.Owner)
	}
	const line = "belongs to another user"
	if l.log.count(line) != 1 || !l.log.contains("channel=b owner=54321") {
		t.Errorf("%d lines in the log, want 1 that names the channel and its owner", l.log.count(line))
	}
}
