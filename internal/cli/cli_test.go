package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// mainEnv makes the test binary the program itself: that is what a background
// daemon is started from.
const mainEnv = "MUENNET_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainEnv) != "" {
		os.Exit(Main(os.Args))
	}
	os.Exit(m.Run())
}

// call runs a command in this process.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(t.Context(), append([]string{"muennet"}, args...), &o, &e)
	return code, o.String(), e.String()
}

// oneLineOf makes sure that a failure is told in one line, without the usage.
func oneLineOf(t *testing.T, stderr string) {
	t.Helper()
	if !strings.HasPrefix(stderr, "muennet: ") || strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") {
		t.Errorf("stderr is not one line: %q", stderr)
	}
}

func TestWrongUsage(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct{ args, want string }{
		{"", "no command given: muennet has cfg, channel, "},
		{"frobnicate", `unknown command "frobnicate": muennet has `},
		{"channel", "no command given: muennet channel has create, dump, list, show"},
		{"channel frobnicate", `unknown command "frobnicate": muennet channel has create, dump, list, show`},
		{"show --frobnicate", "unknown flag: --frobnicate"},
		{"show a b", "accepts at most 1 arg(s), received 2"},
		{"version please", ""},
		{"modinfo please", ""},
		{"channel create", "accepts 1 arg(s), received 0"},
		{"channel create a --size 1X", "--size: "},
		{"channel create a --mode 8", `--mode: "8" is not an octal number from 0 to 0777`},
		{"channel create a --mode 1777", "--mode: "},
		{"channel dump a --elements 0", "--elements: 0 is not a number of elements"},
		{"channel dump a --elements -1", "invalid argument"},
		{"channel dump a --flags eth", `--flags: "eth" is none of raw, net_hdr, eth_dev`},
		{"version --log-level loud", `--log-level: "loud" is none of debug, info, warn, error`},
		{"version --log-format xml", `--log-format: "xml" is neither text nor json`},
		{"version --control=", "--control: the path is empty"},
		{"load", ""},
		{"load name=net0", ""},
		{"load name=net0 in=a reader_protocol=1 bogus=1", "bogus"},
		{"run name=net0 in=a reader_protocol=0", "reader_protocol"},
		{"cfg", "usage: muennet cfg add_child PARENT CHILD | add_mark CHILD MARK | del_child CHILD | del_mark CHILD MARK\n"},
		{"cfg frobnicate", "usage: muennet cfg add_child PARENT CHILD | "},
		{"cfg add_child net0", "muennet: usage: muennet cfg add_child PARENT CHILD\n"},
		{"cfg add_child net0 a b", "usage: muennet cfg add_child PARENT CHILD\n"},
		{"cfg del_child", "usage: muennet cfg del_child CHILD\n"},
		{"cfg add_mark child0", "usage: muennet cfg add_mark CHILD MARK\n"},
		{"cfg del_mark", "usage: muennet cfg del_mark CHILD MARK\n"},
		{"cfg add_mark child0 seven", `mark "seven": want 1 to 4294967295, decimal or hexadecimal with 0x`},
		{"cfg add_mark child0 0x", `mark "0x": want`},
		{"cfg add_mark child0 -- -1", `mark "-1": want`},
		{"cfg add_mark child0 -1", `mark "-1": want 1 to 4294967295`},
		{"cfg del_mark child0 -0x10", `mark "-0x10": want 1 to 4294967295`},
		{"cfg add_mark child0 -x", `unknown shorthand flag: 'x' in -x`},
		{"cfg add_mark child0 1_0", `mark "1_0": want`},
		{"cfg del_mark child0 4294967296", "mark 4294967296: want 1 to 4294967295 (0xffffffff)"},
		{"cfg add_child --frobnicate", "unknown flag: --frobnicate"},
		{"load --options name=\"net0", "--options: a double quote is not closed: name=\"net0"},
		{"load --options bogus=1", "bogus"},
		{"load --config " + dir + "/none name=net0", "none"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			t.Setenv("MUENNET_CONTROL", filepath.Join(dir, "control.sock"))
			t.Setenv("MUENNET_CHANNELS", dir)
			code, stdout, stderr := call(t, strings.Fields(tc.args)...)
			if code != exitUsage || stdout != "" || !strings.Contains(stderr, tc.want) {
				t.Errorf("exit %d, stdout %q, stderr %q, want exit 2 and %q", code, stdout, stderr, tc.want)
			}
			oneLineOf(t, stderr)
			if entries, _ := os.ReadDir(dir); len(entries) > 0 {
				t.Errorf("wrong usage has made %v", entries)
			}
		})
	}
}

func TestNotRunning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	for _, args := range []string{"show", "show net0", "unload net0", "cfg add_child net0 child0", "cfg add_mark child0 0"} {
		code, stdout, stderr := call(t, append(strings.Fields(args), "--control", path)...)
		want := "muennet: muennet is not running (no socket at " + path + ")\n"
		if code != exitFailed || stdout != "" || stderr != want {
			t.Errorf("%s: exit %d, stdout %q, stderr %q, want %q", args, code, stdout, stderr, want)
		}
	}
}

// TestHelp walks all commands: each says what it does and gives an example
// that begins with its own name, and -h prints both.
func TestHelp(t *testing.T) {
	root := (&app{}).root()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		path := c.CommandPath()
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s has no short text or no example", path)
		}
		if !strings.Contains(c.Example, "  "+path+" ") && c.Example != "  "+path && !strings.Contains(c.Example+"\n", "  "+path+"\n") {
			t.Errorf("%s: the example is of something else: %q", path, c.Example)
		}
		code, stdout, stderr := call(t, append(strings.Fields(path)[1:], "-h")...)
		if code != exitDone || stderr != "" || !strings.Contains(stdout, c.Example) {
			t.Errorf("%s -h: exit %d, stderr %q, stdout %q", path, code, stderr, stdout)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

// TestCalledAsCfg: the link's name makes the program the command cfg, which
// also speaks of itself by that name.
func TestCalledAsCfg(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	for _, tc := range []struct {
		args   []string
		code   int
		stdout string // part of it
		stderr string
	}{
		{[]string{"muennet_cfg"}, exitUsage, "", "muennet_cfg: usage: muennet_cfg add_child PARENT CHILD | add_mark CHILD MARK | del_child CHILD | del_mark CHILD MARK\n"},
		{[]string{"/usr/sbin/muennet_cfg", "add_child", "net0"}, exitUsage, "", "muennet_cfg: usage: muennet_cfg add_child PARENT CHILD\n"},
		{[]string{"muennet_cfg", "show"}, exitUsage, "", "muennet_cfg: usage: muennet_cfg add_child PARENT CHILD | add_mark CHILD MARK | del_child CHILD | del_mark CHILD MARK\n"},
		{[]string{"./muennet_cfg", "--control", path, "add_child", "net0", "c"}, exitFailed, "", "muennet_cfg: muennet is not running (no socket at " + path + ")\n"},
		{[]string{"muennet_cfg", "add_child", "-h"}, exitDone, "  muennet_cfg add_child net0 child0\n", ""},
		{[]string{"muennet_cfg", "-h"}, exitDone, "  muennet_cfg add_child net0 child0 &&", ""},
		{nil, exitUsage, "", "muennet: no command given: muennet has cfg, channel, demo, load, modinfo, run, show, unload, version\n"},
	} {
		var o, e bytes.Buffer
		code := Run(t.Context(), tc.args, &o, &e)
		if code != tc.code || !strings.Contains(o.String(), tc.stdout) || e.String() != tc.stderr {
			t.Errorf("%q: exit %d, stdout %q, stderr %q, want %d and %q", tc.args, code, o.String(), e.String(), tc.code, tc.stderr)
		}
	}
}

func TestParseMark(t *testing.T) {
	for text, want := range map[string]uint32{"0": 0, "1": 1, "010": 10, "4294967295": 0xffffffff,
		"0x7": 7, "0X12345678": 0x12345678, "0xFFffffff": 0xffffffff} {
		if got, err := parseMark(text); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestVersion(t *testing.T) {
	code, stdout, _ := call(t, "version")
	lines := strings.Split(stdout, "\n")
	if code != exitDone || len(lines) != 4 || !strings.HasPrefix(lines[0], "muennet ") ||
		!strings.HasPrefix(lines[1], "commit:  ") || !strings.HasPrefix(lines[2], "go:      go1.") {
		t.Errorf("exit %d, stdout %q", code, stdout)
	}
}

func TestVersionStamped(t *testing.T) {
	release, commit = "7.8", "abcdef"
	defer func() { release, commit = "", "" }()
	if _, stdout, _ := call(t, "version"); !strings.HasPrefix(stdout, "muennet 7.8\ncommit:  abcdef\n") {
		t.Errorf("stdout %q", stdout)
	}
}

func TestModinfo(t *testing.T) {
	code, stdout, _ := call(t, "modinfo")
	if code != exitDone || !strings.Contains(stdout, "parm:           reader_protocol:") {
		t.Errorf("exit %d, stdout %q", code, stdout)
	}
}

func TestOneLine(t *testing.T) {
	err := errors.Join(errors.New("a\nb"), errors.New("c"))
	if got := oneLine(err); got != "a; b; c" {
		t.Errorf("%q", got)
	}
}

func TestEnv(t *testing.T) {
	t.Setenv("MUENNET_CONTROL", "/x/y.sock")
	a := &app{}
	a.root()
	if a.control != "/x/y.sock" {
		t.Errorf("control is %q", a.control)
	}
	t.Setenv("MUENNET_CONTROL", "")
	a.root()
	if a.control != "/run/muennet/control.sock" {
		t.Errorf("control is %q", a.control)
	}
}
