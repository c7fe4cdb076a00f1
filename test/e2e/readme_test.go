package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/testnet"
)

// TestReadme runs the commands of README.md, from "Use it" to the end of
// "Children and marks", one after the other. They use the default directories,
// so they have a mount namespace of their own, and a PID namespace, with which
// the muennets that load has started end in any case.
func TestReadme(t *testing.T) {
	begin(t)
	for _, tool := range []string{"unshare", "ifconfig", "ip", "ping", "iptables"} {
		testnet.Need(t, tool)
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(text)
	if !strings.Contains(readme, "\n    "+seedLine+"\n") {
		t.Errorf("README.md does not load as TestModprobe does: %s", seedLine)
	}
	_, readme, found := strings.Cut(readme, "\n## Use it\n")
	usage, _, ended := strings.Cut(readme, "\n### Commands\n")
	if !found || !ended {
		t.Fatal("README.md has no commands between Use it and Commands")
	}
	script := []string{"mount -t tmpfs none /dev/shm", "mount -t tmpfs none /run"}
	for line := range strings.Lines(usage) {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			script = append(script, strings.TrimSuffix(command, "\n"))
		}
	}
	for _, want := range []string{"muennet channel create channel_in", "ping -c 3 192.168.1.2", "muennet_cfg add_mark child0 7", "muennet unload"} {
		if !strings.Contains(strings.Join(script, "\n"), want) {
			t.Errorf("README.md has no command %q", want)
		}
	}

	bin := t.TempDir()
	for _, name := range []string{"muennet", "muennet_cfg"} {
		if err := os.Symlink(program, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-e", "-x", "-c", strings.Join(script, "\n"))
	c.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "MUENNET_CONTROL=", "MUENNET_CHANNELS=")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("commands of README.md: %v\n%s", err, out)
	}
}
