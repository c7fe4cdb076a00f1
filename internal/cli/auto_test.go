package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/pairing"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/shmstream"
)

// autoDir makes a channel directory of "NAME MODE" words, 64 KiB each.
func autoDir(t *testing.T, modes map[string]os.FileMode) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ch")
	for name, mode := range modes {
		if err := region.Create(dir, name, 64<<10, mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// twoPairs are channels of two links, with names the wrong way round in order
// and modes the wrong way round in one.
var twoPairs = map[string]os.FileMode{"b|in": 0o600, "b|out": 0o600, "a|in": 0o400, "a|out": 0o600}

func TestAutoDryRun(t *testing.T) {
	dir := autoDir(t, twoPairs)
	for name, mode := range map[string]os.FileMode{"half|in": 0o600, "x|in": 0o400, "x|out": 0o400, "other": 0o600} {
		if err := region.Create(dir, name, 4096, mode); err != nil {
			t.Fatal(err)
		}
	}
	control := filepath.Join(t.TempDir(), "sub", "control.sock")
	a, err := region.Open(dir, "a|in", region.ReadOnly) // what it is like before
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	out, err := region.Open(dir, "b|out", region.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	startWriter(t, out, 0x12, 100)
	in, err := region.Open(dir, "b|in", region.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	w := startWriter(t, in, 0x7ade5c549b08e814, 1516)

	list := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := call(t, append([]string{"--control", control, "--channels", dir}, args...)...)
		if code != exitDone || stderr != "" {
			t.Errorf("%q: exit %d, %q", args, code, stderr)
		}
		return stdout
	}
	want := `NAME  FLAGS    MTU   WAY  CHANNEL  SIZE   MODE  PROTOCOL            EPOCH     FOUND
net0  eth_dev  1500  in   a|in     65536  0400  0x7ade5c549b08e814  inactive  -
net0  eth_dev  1500  out  a|out    65536  0600  0x7ade5c549b08e814  inactive  -
net1  eth_dev  1500  in   b|out    65536  0600  0x7ade5c549b08e814  0x1234    0x12
net1  eth_dev  1500  out  b|in     65536  0600  0x7ade5c549b08e814  0x1234    0x7ade5c549b08e814
warning: net1: b|out: the channel has protocol 0x12, but 0x7ade5c549b08e814 would be used
skipped: half: half a pair: |in without |out
skipped: x: both are read-only, modes 0400 and 0400: nothing to write
`
	for _, command := range []string{"load", "run"} {
		if got := list(command, "auto", "--dry-run"); got != want {
			t.Errorf("%s lists\n%s\nwant\n%s", command, got, want)
		}
	}

	// What was overridden is what is listed and compared.
	w.Stop()
	got := list("load", "name=lan", "auto", "reader_protocol=,12", "writer_protocol=,12", "mtu=,1400", "flags=,net_hdr", "--dry-run")
	want = `NAME  FLAGS    MTU   WAY  CHANNEL  SIZE   MODE  PROTOCOL            EPOCH     FOUND
lan   eth_dev  1500  in   a|in     65536  0400  0x7ade5c549b08e814  inactive  -
lan   eth_dev  1500  out  a|out    65536  0600  0x7ade5c549b08e814  inactive  -
net1  net_hdr  1400  in   b|out    65536  0600  0x12                0x1234    0x12
net1  net_hdr  1400  out  b|in     65536  0600  0x12                inactive  0x7ade5c549b08e814
warning: net1: b|in: the channel has protocol 0x7ade5c549b08e814, but 0x12 would be used
`
	if !strings.HasPrefix(got, want) {
		t.Errorf("lists\n%s\nwant\n%s", got, want)
	}

	// It lists first and fails then.
	code, stdout, stderr := call(t, "--control", control, "--channels", dir, "load", "auto", "--dry-run", "--strict")
	if code != exitFailed || !strings.Contains(stdout, "skipped: half: ") || !strings.Contains(stderr, "--strict: half: ") {
		t.Errorf("strict: exit %d, %q, %q", code, stdout, stderr)
	}
	oneLineOf(t, stderr)

	// Nothing has changed, nothing was started.
	if _, err := os.Stat(filepath.Dir(control)); err == nil {
		t.Error("the directory of the control socket was made")
	}
	if h, err := shmstream.ReadHeader(a.Bytes()); err != nil || h != (shmstream.Header{}) {
		t.Errorf("the channel a|in is %+v, %v", h, err)
	}
}

// Whatever a channel holds, it is listed, with what is wrong.
func TestAutoDryRunHostile(t *testing.T) {
	dir := autoDir(t, nil)
	for _, name := range []string{"a|in", "a|out"} {
		if err := region.Create(dir, name, 64+10*100, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := region.Open(dir, "a|out", region.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for want, h := range hostile {
		poke(r.Bytes(), h)
		code, stdout, stderr := call(t, "--channels", dir, "load", "auto", "--dry-run")
		if code != exitDone || stderr != "" || !strings.Contains(stdout, "warning: net0: a|out: not consistent: "+want) {
			t.Errorf("%s: exit %d, %s\n%s", want, code, stderr, stdout)
		}
	}
	if err := os.Truncate(filepath.Join(dir, "a|in"), 8); err != nil {
		t.Fatal(err)
	}
	_, stdout, _ := call(t, "--channels", dir, "load", "auto", "--dry-run")
	if !strings.Contains(stdout, "  ?      ?\n") || !strings.Contains(stdout, "warning: net0: a|in: open channel a|in: 8 bytes are too small") {
		t.Errorf("a channel of 8 bytes:\n%s", stdout)
	}
}

func TestAutoErrors(t *testing.T) {
	pairs := autoDir(t, twoPairs)
	half := autoDir(t, map[string]os.FileMode{"a|in": 0o600})
	none := autoDir(t, map[string]os.FileMode{"a": 0o600})
	conf := filepath.Join(t.TempDir(), "muennet.conf")
	if err := os.WriteFile(conf, []byte("options muennet name=net0 in=a out=b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		dir, args string
		code      int
		want      string
	}{
		{none, "load auto", exitFailed, "pair channels in " + none + ": no usable pair of X|in and X|out\n"},
		{half, "load auto", exitFailed, "pair channels in " + half + ": no usable pair of X|in and X|out; skipped: a: half a pair"},
		{half, "run auto --dry-run", exitFailed, "no usable pair"},
		{none + "/nix", "run auto", exitFailed, "pair channels: list channels: open " + none + "/nix: no such file or directory\n"},
		{pairs, "load auto in=a", exitUsage, "parameter in: not together with auto"},
		{pairs, "run out= auto", exitUsage, "parameter out: not together with auto"},
		{pairs, "load auto --config " + conf, exitUsage, "parameter in: not together with auto"},
		{pairs, "load auto mtu=1,2,3", exitUsage, "parameter mtu: 3 entries: want at most 2, one for each pair of channels"},
		{pairs, "load auto mtu=9000", exitUsage, "parameter mtu, entry 1 \"9000\" (interface net0): protocol 7ade5c549b08e814 is for Solo5/MirageOS peers"},
		{pairs, "load auto bogus=1", exitUsage, `parameter "bogus": unknown`},
		{pairs, "load automatic", exitUsage, `argument "automatic": want PARAMETER=VALUE`},
		{pairs, "load --strict name=net0 in=a reader_protocol=1", exitUsage, "--strict and --dry-run: only with auto"},
		{pairs, "run --dry-run", exitUsage, "--strict and --dry-run: only with auto"},
	} {
		control := filepath.Join(t.TempDir(), "sub", "control.sock")
		code, stdout, stderr := call(t, append([]string{"--control", control, "--channels", tc.dir}, strings.Fields(tc.args)...)...)
		if code != tc.code || stdout != "" || !strings.HasPrefix(stderr, "muennet: "+tc.want) && !strings.Contains(stderr, tc.want) {
			t.Errorf("%s: exit %d, %q, %q; want %d and %q", tc.args, code, stdout, stderr, tc.code, tc.want)
		}
		oneLineOf(t, stderr)
		if _, err := os.Stat(filepath.Dir(control)); err == nil {
			t.Errorf("%s has started something", tc.args)
		}
	}
}

// pairs puts the channels of auto in the place of those of a host.
func (h *host) pairs(modes map[string]os.FileMode) {
	h.t.Helper()
	for _, old := range []string{"a", "b", "c", "d"} {
		if err := os.Remove(filepath.Join(h.dir, "ch", old)); err != nil {
			h.t.Fatal(err)
		}
	}
	for name, mode := range modes {
		if err := region.Create(filepath.Join(h.dir, "ch"), name, 64<<10, mode); err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestLoadAuto(t *testing.T) {
	h := newHost(t)
	h.pairs(twoPairs)
	h.must("load", "auto")
	h.wantLinks("net0", "net1")
	all := h.must("show")
	if !strings.HasPrefix(all, "name: net0\nin/out: a|in:a|out\nmtu: 1500\nflags: eth_dev\n") || !strings.Contains(all, "\n----\nname: net1\nin/out: b|out:b|in\n") ||
		strings.Count(all, "protocol:         7ade5c549b08e814\n")+strings.Count(all, "protocol:         0x7ade5c549b08e814\n") != 4 {
		t.Errorf("show prints\n%s", all)
	}
}

// A running muennet has a directory of its own: auto means that of the command.
func TestLoadAutoElsewhere(t *testing.T) {
	h := newHost(t)
	h.load("first", "a", "b")
	dir := autoDir(t, twoPairs)
	h.must("--channels", dir, "load", "auto", "name=,wan")
	h.wantLinks("first", "net0", "wan")
	if all := h.must("show", "wan"); !strings.Contains(all, dir+"/b|out") && !strings.Contains(all, "in/out: b|out:b|in\n") {
		t.Errorf("show prints\n%s", all)
	}
}

func TestLoadAutoHalf(t *testing.T) {
	h := newHost(t)
	h.pairs(twoPairs)
	if err := region.Create(filepath.Join(h.dir, "ch"), "0|in", 4096, 0o600); err != nil {
		t.Fatal(err)
	}
	const why = "0: half a pair: |in without |out"
	for _, command := range []string{"load", "run"} {
		code, _, stderr := h.muennet(command, "auto", "--strict")
		want := fmt.Sprintf("muennet: pair channels in %s: nothing is loaded because of --strict: %s\n", filepath.Join(h.dir, "ch"), why)
		if code != exitFailed || stderr != want {
			t.Errorf("%s: exit %d, %q, want %q", command, code, stderr, want)
		}
		h.wantLinks()
		if left := h.files(); len(left) > 0 {
			t.Errorf("%s left %q behind", command, left)
		}
	}
	code, stdout, stderr := h.muennet("load", "auto")
	if want := "muennet: skipped " + why + "\n"; code != exitDone || stdout != "" || stderr != want {
		t.Errorf("exit %d, %q, %q, want %q", code, stdout, stderr, want)
	}
	h.wantLinks("net0", "net1")
}

// What modprobe hands over may be the word as well.
func TestLoadAutoOptions(t *testing.T) {
	h := newHost(t)
	h.pairs(twoPairs)
	h.must("load", "--options", "auto name=lan%d")
	h.wantLinks("lan0", "lan1")
}

// settle tells everything that was skipped, once, and only when it goes on.
func TestSettle(t *testing.T) {
	var out strings.Builder
	a := &app{stdout: &out}
	r := request{Set: pairing.Set{Skipped: []pairing.Skipped{{Name: "a", Reason: "x"}, {Name: "b", Reason: "y"}}}}
	var told []string
	tell := func(s pairing.Skipped) { told = append(told, s.String()) }
	if done, err := a.settle(r, autoConfig{strict: true}, tell); !done || err == nil || len(told) > 0 {
		t.Errorf("strict: %v, %v, %q", done, err, told)
	}
	if done, err := a.settle(r, autoConfig{dryRun: true}, tell); !done || err != nil || len(told) > 0 || !strings.Contains(out.String(), "skipped: b: y\n") {
		t.Errorf("dry run: %v, %v, %q, %q", done, err, told, out.String())
	}
	if done, err := a.settle(r, autoConfig{}, tell); done || err != nil || strings.Join(told, ",") != "a: x,b: y" {
		t.Errorf("%v, %v, %q", done, err, told)
	}
	if done, err := a.settle(request{}, autoConfig{strict: true}, tell); done || err != nil {
		t.Errorf("strict with nothing skipped: %v, %v", done, err)
	}
}
