package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/testnet"
)

// distribution is what make install makes, with the program in its final place.
type distribution struct {
	bin string // directory with muennet and muennet_cfg
	etc string // a modprobe.d directory
}

// makeInstall installs to below a staging directory, as one makes a package,
// and then unpacks that.
func makeInstall(t *testing.T) distribution {
	t.Helper()
	testnet.Need(t, "modprobe")
	dir := t.TempDir()
	stage, prefix := filepath.Join(dir, "stage"), filepath.Join(dir, "usr")
	runMake(t, "install", "DESTDIR="+stage, "PREFIX="+prefix, "BINARY="+program)
	if _, err := os.Stat(prefix); err == nil {
		t.Fatal("make install with DESTDIR has written to PREFIX")
	}
	if err := os.Rename(stage+prefix, prefix); err != nil {
		t.Fatal(err)
	}
	// This is how modprobe is told of a directory without a word on its command
	// line: see modprobe(8).
	etc := filepath.Join(stage, "usr/lib/modprobe.d")
	t.Setenv("MODPROBE_OPTIONS", "-C "+etc)
	t.Setenv("PATH", filepath.Join(prefix, "bin")+":"+os.Getenv("PATH"))
	return distribution{filepath.Join(prefix, "bin"), etc}
}

func runMake(t *testing.T, args ...string) {
	t.Helper()
	c := testnet.New(t).Command(testnet.Need(t, "make"), append([]string{"-C", "../.."}, args...)...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("make %q: %v\n%s", args, err, out)
	}
}

// fails runs a command line that has to end with 1 and to say why.
func (h *host) fails(line, why string) {
	h.t.Helper()
	if r := h.shell(line); r.code != 1 || !strings.Contains(r.stderr, why) {
		h.t.Errorf("%s: exit code %d, %q; want 1 and %q", line, r.code, r.stderr, why)
	}
}

func (h *host) wantInterfaces(want ...string) {
	h.t.Helper()
	if got := h.interfaces(); !slices.Equal(got, want) {
		h.t.Errorf("interfaces are %q, want %q", got, want)
	}
}

const seedLine = "modprobe muennet name=net0 reader_protocol=2 writer_protocol=2 in=channel_in out=channel_out flags=net_hdr"

func TestModprobe(t *testing.T) {
	begin(t)
	makeInstall(t)
	h := newHost(t, makeChannels(t, "channel_in", "channel_out", "c", "d"))
	h.typed(seedLine)
	h.wantInterfaces("lo", "net0")
	pid := h.pid()
	if s := h.show("net0"); s.Mode != "net_hdr" || s.In != "channel_in" || s.Out != "channel_out" || s.Reader.Protocol != "0x2" {
		t.Errorf("show says %+v", s)
	}
	h.typed("muennet_cfg add_child net0 child0")
	h.typed("modprobe muennet name=net1 in=c out=d reader_protocol=2 writer_protocol=2")
	h.wantInterfaces("child0", "lo", "net0", "net1")
	if h.pid() != pid {
		t.Error("the second modprobe has started another muennet")
	}
	h.typed("modprobe -r muennet")
	h.wantInterfaces("lo")
	if h.pid() != 0 {
		t.Error("muennet still runs after modprobe -r")
	}
	h.typed("modprobe -r muennet")
	h.typed(seedLine)
	h.typed("modprobe -r muennet")
}

// TestModprobeAgain: what the module takes without an error: a second modprobe,
// of other parameters too, one without parameters, and modprobe -r of nothing.
func TestModprobeAgain(t *testing.T) {
	begin(t)
	makeInstall(t)
	h := newHost(t, makeChannels(t, "channel_in", "channel_out"))
	h.typed("modprobe -r muennet")
	h.typed("modprobe muennet")
	h.wantInterfaces("lo")
	for _, line := range []string{seedLine, seedLine, "modprobe muennet"} {
		if out := h.typed(line); out != "" {
			t.Errorf("%s prints %q", line, out)
		}
		h.wantInterfaces("lo", "net0")
	}
	for line, why := range map[string]string{
		strings.Replace(seedLine, "in=channel_in ", "", 1): "in=channel_in, not (none)",
		seedLine + " mtu=1400":                             "mtu=1500, not 1400",
	} {
		if r := h.shell(line); r.code != 0 || !strings.HasPrefix(r.stderr, "muennet: warning: nothing is changed: net0 is loaded already with ") || !strings.Contains(r.stderr, why) {
			t.Errorf("%s: exit code %d, %q, want a warning with %q", line, r.code, r.stderr, why)
		}
	}
	if s := h.show("net0"); s.In != "channel_in" || s.MTU != 1500 {
		t.Errorf("it was changed: %+v", s)
	}
	h.typed("modprobe -r muennet")
	h.typed("modprobe -r muennet")
	h.wantInterfaces("lo")
}

// TestModprobeCrash: modprobe -r removes what a crash has left behind.
func TestModprobeCrash(t *testing.T) {
	begin(t)
	makeInstall(t)
	h := newHost(t, makeChannels(t, "channel_in", "channel_out"))
	h.start("name=net0", "in=channel_in", "out=channel_out", "flags=net_hdr", "reader_protocol=2", "writer_protocol=2")
	h.typed("muennet_cfg add_child net0 child0")
	h.typed("muennet_cfg add_mark child0 7")
	h.kill()
	h.wantInterfaces("child0", "lo", "net0")
	h.typed(seedLine)
	if got := h.family(); got != "child0: [7]" {
		t.Errorf("after the crash modprobe has brought back the children %q", got)
	}
	h.typed("modprobe -r muennet")
	h.wantInterfaces("lo")

	h.start("name=net0", "in=channel_in", "out=channel_out", "flags=net_hdr", "reader_protocol=2", "writer_protocol=2")
	h.typed("muennet_cfg add_child net0 child0")
	h.kill()
	if out := h.typed("modprobe -r muennet"); out != "removed net0\nremoved child0\n" {
		t.Errorf("modprobe -r after a crash prints %q", out)
	}
	h.wantInterfaces("lo")
}

// TestModprobeRefused: modprobe ends with 1, the reason is told, and nothing is
// done.
func TestModprobeRefused(t *testing.T) {
	begin(t)
	makeInstall(t)
	h := newHost(t, makeChannels(t, "channel_in", "channel_out"))
	for line, why := range map[string]string{
		"modprobe muennet name=net0 in=channel_in":                     `muennet: parameter reader_protocol, entry 1 "" (interface net0): missing`,
		seedLine + " bogus=1":                                          `muennet: parameter "bogus": unknown: want one of name, `,
		seedLine + " net1":                                             `net1`,
		strings.Replace(seedLine, "=2", "=0", 1):                       `muennet: parameter reader_protocol, entry 1 "0" (interface net0): `,
		strings.Replace(seedLine, "net_hdr", "net", 1):                 `muennet: parameter flags, entry 1 "net" (interface net0): unknown flag "net": want net_hdr or eth_dev`,
		strings.Replace(seedLine, "net0", longName, 1):                 `muennet: parameter name, entry 1 "abcdefghijklmnop": 16 bytes: want at most 15`,
		strings.Replace(seedLine, "channel_out", "nix", 1):             "channel create nix",
		strings.Replace(seedLine, "channel_out", `"it's"`, 1):          "uote", // of the shell
		strings.Replace(seedLine, "net0", "lo", 1):                     "interface name is taken",
		strings.Replace(seedLine, "modprobe", "modprobe -q", 1) + " x": "x",
	} {
		h.fails(line, why)
		h.wantInterfaces("lo")
		if h.pid() != 0 {
			t.Fatalf("%s has left a muennet running", line)
		}
	}
}

// TestModprobeCharacters: what a shell has a meaning for arrives as typed.
func TestModprobeCharacters(t *testing.T) {
	begin(t)
	makeInstall(t)
	in, out := "keyfender|in", "a;$(id)`id`&&#*?$HOME>x<x%d%s!~[a]{}\\n"
	h := newHost(t, makeChannels(t, in, out))
	h.typed("modprobe muennet 'name=net%d' 'in=" + in + "' 'out=" + out + "' reader_protocol=2 writer_protocol=2")
	h.wantInterfaces("lo", "net0")
	if s := h.show("net0"); s.In != in || s.Out != out {
		t.Errorf("channels are %q and %q, want %q and %q", s.In, s.Out, in, out)
	}
	h.typed("modprobe -r muennet")
}

// TestModprobeOptions: options lines of other files count, and what is typed
// counts more, as with a module.
func TestModprobeOptions(t *testing.T) {
	begin(t)
	d := makeInstall(t)
	h := newHost(t, makeChannels(t, "a", "b", "c|d"))
	local := "# local\noptions muennet poll=5 name=net0 in=a out=\"c|d\"\noptions muennet flags=net_hdr reader_protocol=12 \\\n  writer_protocol=8\noptions other poll=9\n"
	if err := os.WriteFile(filepath.Join(d.etc, "local.conf"), []byte(local), 0o644); err != nil {
		t.Fatal(err)
	}
	check := func(poll int, out string) {
		t.Helper()
		s := h.show("net0")
		if s.Poll != poll || s.Mode != "net_hdr" || s.In != "a" || s.Out != out || s.Reader.Protocol != "0x12" || s.Writer.Protocol != "0x8" {
			t.Errorf("show says %+v, reader %+v, writer %+v; want poll %d, out %s", s, s.Reader, s.Writer, poll, out)
		}
		h.typed("modprobe -r muennet")
	}
	h.typed("modprobe muennet")
	check(5, "c|d")
	h.typed("modprobe muennet poll=7 out=b")
	check(7, "b")
	// The same file for the program itself.
	h.typed("muennet load --config " + filepath.Join(d.etc, "local.conf") + " mtu=1400")
	if s := h.show("net0"); s.MTU != 1400 {
		t.Errorf("mtu is %d, want 1400", s.MTU)
	}
	check(5, "c|d")
}

// TestMakeInstall: what lies where, and that uninstall takes it away.
func TestMakeInstall(t *testing.T) {
	begin(t)
	testnet.Need(t, "make")
	dir := t.TempDir()
	where := []string{"DESTDIR=" + dir, "PREFIX=/opt/muennet"}
	runMake(t, append([]string{"install", "BINARY=" + program}, where...)...)
	for path, mode := range map[string]os.FileMode{"opt/muennet/bin/muennet": 0o755, "usr/lib/modprobe.d/muennet-load.conf": 0o644} {
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v; want mode %v", path, info, err, mode)
		}
	}
	if to, err := os.Readlink(filepath.Join(dir, "opt/muennet/bin/muennet_cfg")); err != nil || to != "muennet" {
		t.Errorf("muennet_cfg leads to %q, %v", to, err)
	}
	conf, err := os.ReadFile(filepath.Join(dir, "usr/lib/modprobe.d/muennet-load.conf"))
	if text := string(conf); err != nil || !strings.Contains(text, "\ninstall muennet /opt/muennet/bin/muennet load ") ||
		!strings.Contains(text, "\nremove muennet /opt/muennet/bin/muennet unload --if-loaded\n") || strings.Contains(text, "/usr/local") {
		t.Errorf("%v\n%s", err, text)
	}
	runMake(t, append([]string{"uninstall"}, where...)...)
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			t.Errorf("uninstall has left %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
