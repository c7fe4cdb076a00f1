package e2e

import (
	"os"
	"strings"
	"testing"
)

// TestModprobeFunctions runs the functions of docs/muen.md that replace the
// modprobe and rmmod of BusyBox.
func TestModprobeFunctions(t *testing.T) {
	begin(t)
	makeInstall(t) // for the PATH
	text, err := os.ReadFile("../../docs/muen.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "\n```sh\nmodprobe() {\n")
	functions, _, ended := strings.Cut("modprobe() {\n"+after, "\n```\n")
	if !found || !ended {
		t.Fatal("docs/muen.md has no function modprobe")
	}
	t.Setenv("MODPROBE_OPTIONS", "")
	h := newHost(t, makeChannels(t, "channel_in", "channel_out"))
	run := func(line string, want ...string) {
		t.Helper()
		if r := h.shell(functions + "\n" + line); r.code != 0 {
			t.Errorf("%s: exit code %d, %q", line, r.code, r.stderr)
		}
		h.wantInterfaces(want...)
	}
	run("rmmod muennet", "lo")
	run("modprobe muennet", "lo")
	run(seedLine, "lo", "net0")
	run(seedLine, "lo", "net0")
	run("modprobe -r muennet", "lo")
	run(seedLine, "lo", "net0")
	run("rmmod muennet", "lo")
	// Other modules are the kernel's.
	for _, line := range []string{"modprobe no-such-module", "modprobe -r no-such-module", "rmmod no-such-module"} {
		if r := h.shell(functions + "\n" + line); r.code == 0 || !strings.Contains(r.stderr, "no-such-module") && !strings.Contains(r.stderr, "no_such_module") {
			t.Errorf("%s: exit code %d, %q", line, r.code, r.stderr)
		}
	}
}
