package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestServiceOf(t *testing.T) {
	invoked := map[string]string{"INVOCATION_ID": "0123456789abcdef"}
	notified := map[string]string{"NOTIFY_SOCKET": "/run/systemd/notify"}
	for _, tc := range []struct {
		groups string
		env    map[string]string
		want   string
	}{
		{"0::/system.slice/net.service\n", invoked, "net.service"},
		{"0::/system.slice/net.service\n", notified, "net.service"},
		{"0::/system.slice/net.service\n", nil, ""},
		{"0::/system.slice/system-ifup.slice/ifup@net0.service/payload\n", invoked, "ifup@net0.service"},
		{"4:memory:/system.slice/x.service\n1:name=systemd:/system.slice/net.service\n0::/\n", invoked, "net.service"},
		{"4:memory:/system.slice/x.service\n0::/\n", invoked, ""},
		{"0::/user.slice/user-0.slice/session-1.scope\n", invoked, ""},
		{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/terminal.scope\n", invoked, ""},
		{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/net.service\n", invoked, "net.service"},
		{"0::/\n", notified, ""},
		{"0::relative\n", invoked, ""},
		{"", invoked, ""},
		{"nonsense\n", invoked, ""},
	} {
		got := serviceOf(tc.groups, func(name string) (string, bool) { v, ok := tc.env[name]; return v, ok })
		if got != tc.want {
			t.Errorf("%q with %v: %q, want %q", tc.groups, tc.env, got, tc.want)
		}
	}
}

// TestLoadInService: load warns where the muennet it starts would end with the
// service that load runs in, and only then.
func TestLoadInService(t *testing.T) {
	h := newHost(t)
	group := serviceGroup(t)
	load := func(id, name, in, out string) string {
		t.Helper()
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		c := h.ns.Command("/bin/sh", append([]string{"-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(group, "cgroup.procs"), self, "load"}, pair(name, in, out)...)...)
		c.Env = append(h.command().Env, "INVOCATION_ID="+id)
		var stderr strings.Builder
		c.Stderr = &stderr
		if err := c.Run(); err != nil {
			t.Fatalf("load: %v\n%s", err, stderr.String())
		}
		return stderr.String()
	}
	const want = `muennet: warning: systemd ends muennet, and removes its interfaces, when muennet-test.service ends: run "muennet run" there`
	if got := load("1", "net0", "a", "b"); !strings.HasPrefix(got, want) {
		t.Errorf("load prints %q, want %q", got, want)
	}
	// The muennet that runs belongs to another service, or to none.
	if got := load("1", "net1", "c", "d"); got != "" {
		t.Errorf("the second load prints %q", got)
	}
	h.wantLinks("net0", "net1")
	h.must("unload")
}

// serviceGroup makes a control group named like that of a service.
func serviceGroup(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "cgroup2", 0, ""); err != nil {
		t.Fatalf("mount cgroup2: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	group := filepath.Join(dir, "muennet-test.service")
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(group) })
	return group
}
