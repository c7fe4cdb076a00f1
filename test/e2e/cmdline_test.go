package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKernelCommandLine loads what the kernel command line says, which is
// another one for the command only.
func TestKernelCommandLine(t *testing.T) {
	begin(t)
	h := newHost(t, makeChannels(t, "a", "b", "x|in", "x|out"))
	file := filepath.Join(t.TempDir(), "cmdline")
	boot := func(line string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(line+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	inside := func(command string) string {
		return "unshare -m sh -c 'mount --bind " + file + " /proc/cmdline && " + command + "'"
	}
	boot(`quiet muennet.name=net0 muennet.poll=3 muennet.in=a "muennet.out=b" muennet.reader-protocol=12 muennet.writer_protocol=8 muennet.poll=5 -- muennet.poll=9`)
	h.typed(inside("muennet load --cmdline"))
	if s := h.show("net0"); s.In != "a" || s.Out != "b" || s.Poll != 5 || s.Reader.Protocol != "0x12" || s.Writer.Protocol != "0x8" {
		t.Errorf("show says %+v, reader %+v, writer %+v", s, s.Reader, s.Writer)
	}
	h.typed("muennet unload")

	// What is typed counts more, and a configuration file less.
	conf := filepath.Join(t.TempDir(), "muennet.conf")
	if err := os.WriteFile(conf, []byte("options muennet poll=1 mtu=1400 flags=net_hdr\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.typed(inside("muennet load --config " + conf + " --cmdline flags=eth_dev poll=7"))
	if s := h.show("net0"); s.Poll != 7 || s.MTU != 1400 || s.Mode != "eth_dev" {
		t.Errorf("show says %+v", s)
	}
	h.typed("muennet unload")

	boot("muennet.auto muennet.mtu=1200")
	h.typed(inside("muennet load --cmdline name=lan0 mtu=1500"))
	h.wantInterfaces("lan0", "lo")
	if s := h.show("lan0"); s.In != "x|out" || s.MTU != 1500 {
		t.Errorf("show says %+v", s)
	}
	h.typed("muennet unload")

	boot("muennet.colour=red")
	if r := h.shell(inside("muennet load --cmdline")); r.code != 2 || !strings.Contains(r.stderr, `parameter "colour": unknown`) {
		t.Errorf("an unknown parameter: exit code %d, %q", r.code, r.stderr)
	}
}
