package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muennet/muennet/client"
)

// TestLoadAgain: what is loaded already is no error, unless it differs.
func TestLoadAgain(t *testing.T) {
	h := newHost(t)
	h.load("net0", "a", "b")
	if got := h.must(append([]string{"load"}, pair("net0", "a", "b")...)...); got != "net0: already loaded\n" {
		t.Errorf("prints %q", got)
	}
	code, _, stderr := h.muennet(append([]string{"load", "mtu=1400", "poll=2"}, pair("net0", "c", "b")...)...)
	if want := "muennet: net0 is loaded already with in=a, not c, mtu=1500, not 1400, poll=1, not 2\n"; code != exitFailed || stderr != want {
		t.Errorf("exit %d, %q, want %q", code, stderr, want)
	}
	if got := h.must(append([]string{"load"}, "name=net0,net1", "in=a,c", "out=b,d", "flags=net_hdr,", "reader_protocol=12,1", "writer_protocol=12,1")...); got != "net0: already loaded\n" {
		t.Errorf("prints %q", got)
	}
	h.wantLinks("net0", "net1")
}

// TestLoadFromModprobe: modprobe succeeds with a module that is loaded, with
// whatever parameters, and with one without interfaces.
func TestLoadFromModprobe(t *testing.T) {
	h := newHost(t)
	modprobe := func(options, warning string) {
		t.Helper()
		code, stdout, stderr := h.muennet("load", "--options", options)
		if code != exitDone || stdout != "" || stderr != warning {
			t.Errorf("%s: exit %d, stdout %q, stderr %q, want %q", options, code, stdout, stderr, warning)
		}
	}
	const nothing = "muennet: warning: nothing is loaded: parameter name: missing: want the name of at least one interface\n"
	modprobe("", "")
	modprobe("poll=5", nothing)
	h.wantLinks()
	line := strings.Join(pair("net0", "a", "b"), " ")
	modprobe(line, "")
	h.wantLinks("net0")
	modprobe(line, "")
	modprobe("", "")
	modprobe(line+" mtu=1400", "muennet: warning: nothing is changed: net0 is loaded already with mtu=1500, not 1400\n")
	if s, err := client.New(h.control).Interface(t.Context(), "net0"); err != nil || s.MTU != 1500 {
		t.Errorf("mtu is %d, %v", s.MTU, err)
	}
	if code, _, stderr := h.muennet("load", "--options", "bogus=1"); code != exitUsage || !strings.Contains(stderr, "bogus") {
		t.Errorf("unknown parameter: exit %d, %s", code, stderr)
	}
}

// TestUnloadIfLoaded: what is not loaded is no error then.
func TestUnloadIfLoaded(t *testing.T) {
	h := newHost(t)
	h.must("unload", "--if-loaded")
	h.must("unload", "--if-loaded", "net0")
	h.load("net0", "a", "b")
	h.load("net1", "c", "d")
	h.must("cfg", "add_child", "net0", "child0")
	if code, _, stderr := h.muennet("unload", "--if-loaded", "net1", "child0"); code != exitFailed || !strings.Contains(stderr, "child0 is a child of net0") {
		t.Errorf("a child: exit %d, %s", code, stderr)
	}
	h.wantLinks("child0", "net0", "net1")
	h.must("unload", "--if-loaded", "net1", "net9")
	h.must("unload", "--if-loaded", "net1")
	h.wantLinks("child0", "net0")
	h.must("unload", "--if-loaded")
	h.wantLinks()
}

// TestLoadCreates: a load that works on an empty system works again.
func TestLoadCreates(t *testing.T) {
	h := newHost(t)
	dir := filepath.Join(h.dir, "ch", "new")
	load := append([]string{"--channels", dir, "load", "create=64K"}, pair("net0", "in", "out")...)
	h.must(load...)
	h.must("unload")
	h.must(load...)
	if info, err := os.Stat(filepath.Join(dir, "out")); err != nil || info.Size() != 64<<10 || info.Mode() != 0o600 {
		t.Errorf("out-channel: %v, %v", info, err)
	}
	if code, _, stderr := h.muennet(append([]string{"load", "create=64"}, pair("net1", "c", "d")...)...); code != exitUsage || !strings.Contains(stderr, `parameter create "64": want at least 65 bytes`) {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

func TestCreateIfMissing(t *testing.T) {
	dir := t.TempDir()
	create := func(wantCode int, want string, args ...string) {
		t.Helper()
		code, stdout, stderr := call(t, append([]string{"--channels", dir, "channel", "create", "--if-missing"}, args...)...)
		if code != wantCode || stdout != "" || stderr != want {
			t.Errorf("%q: exit %d, %q %q, want %d, %q", args, code, stdout, stderr, wantCode, want)
		}
	}
	create(exitDone, "", "a", "--size", "4K")
	create(exitDone, "", "a", "--size", "4K")
	create(exitFailed, "muennet: channel a exists: size 4096, not 1048576\n", "a")
	create(exitFailed, "muennet: channel a exists: size 4096, not 8192, mode 0600, not 0660\n", "a", "--size", "8K", "--mode", "0660")
	create(exitUsage, "muennet: --if-missing: the memory of pci:00:04.0 is always there\n", "pci:00:04.0")
	if info, err := os.Stat(filepath.Join(dir, "a")); err != nil || info.Size() != 4096 || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
