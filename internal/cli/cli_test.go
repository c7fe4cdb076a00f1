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
		os.Exit(Main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// call runs a command in this process.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(t.Context(), args, &o, &e)
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
		{"", "no command given: muennet has channel, "},
		{"frobnicate", `unknown command "frobnicate" for "muennet"`},
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
	for _, args := range []string{"show", "show net0", "unload net0"} {
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
