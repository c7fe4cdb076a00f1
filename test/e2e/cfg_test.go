package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/testnet"
)

// openDir is a directory that other users may enter, which t.TempDir is not.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "muennet")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// installed puts the program and its link muennet_cfg into a directory, as
// make install does.
func installed(t *testing.T) (dir string) {
	t.Helper()
	dir = openDir(t)
	name := filepath.Join(dir, "muennet")
	err := errors.Join(os.Link(program, name), os.Symlink("muennet", name+"_cfg"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// family is what show tells of the children of net0, as "name: marks".
func (h *host) family() string {
	h.t.Helper()
	var all []string
	for _, c := range h.show("net0").Children {
		all = append(all, fmt.Sprint(c.Name, ": ", c.Marks))
	}
	return strings.Join(all, ", ")
}

// interfaces lists the namespace's, sorted.
func (h *host) interfaces() (names []string) {
	h.t.Helper()
	states, err := h.Link().List()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, s := range states {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return names
}

// threeModes loads net0, raw0 and eth0, and gives net0 two children. Mark 7
// and the last one there is belong to child1.
func threeModes(t *testing.T, start func(h *host, params ...string)) *host {
	h := newHost(t, makeChannels(t, "a", "b", "c", "d", "e", "f"))
	start(h, "name=net0,raw0,eth0", "in=a,c,e", "out=b,d,f", "flags=net_hdr,,eth_dev",
		"reader_protocol=2,2,2", "writer_protocol=2,2,2")
	for _, args := range [][]string{{"add_child", "net0", "child0"}, {"add_child", "net0", "child1"},
		{"add_mark", "child1", "7"}, {"add_mark", "child1", "0xffffffff"}} {
		h.must(append([]string{"cfg"}, args...)...)
	}
	return h
}

const (
	familyAtFirst = "child0: [], child1: [7 4294967295]"
	longName      = "abcdefghijklmnop" // 16 bytes
)

func TestCfgErrors(t *testing.T) {
	begin(t)
	h := threeModes(t, (*host).load)
	interfaces := h.interfaces()
	link := filepath.Join(installed(t), "muennet_cfg")
	taken := `interface name is taken: device or resource busy: `
	for _, tc := range []struct {
		args string
		want string // on stderr, after the name of the program
	}{
		{"add_child child0 x", "add child x: child0 is a child of net0: a child cannot have children"},
		{"add_child nix x", "add child x: nix: no such interface here"},
		{"add_child lo x", "add child x: lo is not an interface of muennet"},
		{"add_child raw0 x", "add child x: raw0 is raw: children need a net_hdr parent"},
		{"add_child eth0 x", "add child x: eth0 is eth_dev: children need a net_hdr parent"},
		{"add_child net0 child1", `add child child1: open TUN device "child1": ` + taken + "child1 is a child of net0\n"},
		{"add_child net0 net0", `add child net0: open TUN device "net0": ` + taken + "net0 is an interface of this muennet, with in=a out=b\n"},
		{"add_child net0 lo", `add child lo: open TUN device "lo": ` + taken + "lo is the loopback interface: choose another name\n"},
		{"add_child net0 " + longName, `add child: child "` + longName + `": 16 bytes: want at most 15`},
		{"add_child net0 a/b", `add child: child "a/b": want no '/'`},
		{"del_child nix", "delete child: nix: no such interface here"},
		{"del_child lo", "delete child: lo is not an interface of muennet"},
		{"del_child net0", "delete child: net0 is a parent, not a child"},
		{"del_child raw0", "delete child: raw0 is a parent, not a child"},
		{"add_mark child0 0", "add mark: 0 stands for no mark: want 1 to 4294967295"},
		{"add_mark child0 0x0", "add mark: 0 stands for no mark"},
		{"add_mark child0 7", "add mark: 7 is held by child1"},
		{"add_mark child1 0x7", "add mark: 7 is held by child1"},
		{"add_mark nix 8", "add mark: nix: no such interface here"},
		{"add_mark net0 8", "add mark: net0 is a parent, not a child"},
		{"add_mark lo 8", "add mark: lo is not an interface of muennet"},
		{"del_mark child0 7", "delete mark: 7 is not a mark of child0"},
		{"del_mark child1 8", "delete mark: 8 is not a mark of child1"},
		{"del_mark child1 0", "delete mark: 0 is not a mark of child1"},
		{"del_mark nix 7", "delete mark: nix: no such interface here"},
		{"del_mark net0 7", "delete mark: net0 is a parent, not a child"},
	} {
		for name, c := range h.bothWays(link, tc.args) {
			r := h.run(c)
			if r.code != 1 || r.stdout != "" || !strings.HasPrefix(r.stderr, name+": "+tc.want) || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("%s %s: exit code %d, stdout %q, stderr %q; want 1 and %q", name, tc.args, r.code, r.stdout, r.stderr, tc.want)
			}
		}
	}
	for args, want := range map[string]string{
		"":                            "add_child PARENT CHILD | add_mark CHILD MARK | del_child CHILD | del_mark CHILD MARK",
		"help_me net0":                "add_child PARENT CHILD | add_mark CHILD MARK | del_child CHILD | del_mark CHILD MARK",
		"add_child":                   "add_child PARENT CHILD",
		"add_child net0":              "add_child PARENT CHILD",
		"add_child net0 x y":          "add_child PARENT CHILD",
		"del_child":                   "del_child CHILD",
		"add_mark child0":             "add_mark CHILD MARK",
		"del_mark child1":             "del_mark CHILD MARK",
		"add_mark child0 x":           `mark "x": want 1 to 4294967295, decimal or hexadecimal with 0x`,
		"add_mark child0 0x100000000": "mark 0x100000000: want 1 to 4294967295 (0xffffffff)",
	} {
		for name, c := range h.bothWays(link, args) {
			full := name + ": " + want + "\n"
			if !strings.HasPrefix(want, "mark ") {
				command := map[string]string{"muennet": "muennet cfg ", "muennet_cfg": "muennet_cfg "}[name]
				full = name + ": usage: " + command + want + "\n"
			}
			if r := h.run(c); r.code != 2 || r.stdout != "" || r.stderr != full {
				t.Errorf("%s %s: exit code %d, stdout %q, stderr %q; want 2 and %q", name, args, r.code, r.stdout, r.stderr, full)
			}
		}
	}
	for args, want := range map[string]string{
		"unload child0":      "muennet: child0 is a child of net0: remove it with del_child\n",
		"unload net0 child0": "muennet: child0 is a child of net0: remove it with del_child\n",
	} {
		if r := h.muennet(strings.Fields(args)...); r.code != 1 || r.stderr != want {
			t.Errorf("%s: exit code %d, %q; want %q", args, r.code, r.stderr, want)
		}
	}
	if got := h.family(); got != familyAtFirst {
		t.Errorf("after all these errors the children are %q", got)
	}
	if got := h.interfaces(); !slices.Equal(got, interfaces) {
		t.Errorf("after all these errors the interfaces are %q, before they were %q", got, interfaces)
	}
}

// bothWays gives the commands that do the same, by the name of the program.
func (h *host) bothWays(link, args string) map[string]*testnet.Cmd {
	words := strings.Fields(args)
	called := h.Command(link, words...)
	called.Env = append(os.Environ(), "MUENNET_CONTROL="+h.control)
	return map[string]*testnet.Cmd{"muennet": h.command(append([]string{"cfg"}, words...)...), "muennet_cfg": called}
}

// TestCfgLink: the module's tool, letter for letter.
func TestCfgLink(t *testing.T) {
	begin(t)
	h := newHost(t, makeChannels(t, "a", "b"))
	h.load("name=net0", "in=a", "out=b", "flags=net_hdr", "mtu=1400", "reader_protocol=2", "writer_protocol=2")
	t.Setenv("PATH", installed(t)+":"+os.Getenv("PATH"))
	h.typed("muennet_cfg add_child net0 child0")
	h.typed("muennet_cfg add_child net0 child1")
	h.typed("muennet_cfg add_mark child0 1")
	h.typed("muennet_cfg add_mark child0 0x12345678")
	h.typed("muennet_cfg add_mark child1 0xFFFFFFFF")
	h.typed("ifconfig child0 192.168.2.1 mtu 1300 up")
	if s := h.State("child0"); !s.Up || s.MTU != 1300 || h.State("child1").MTU != 1400 {
		t.Errorf("child0 is %+v, child1 %+v", s, h.State("child1"))
	}
	h.awaitShow("net0", "child0 is up", func(s api.Interface) bool {
		return len(s.Children) == 2 && s.Children[0].Up && s.Children[0].MTU == 1300
	})
	for _, line := range []string{"child.child0.marks:      1 305419896", "child.child0.up:         yes", "child.child1.marks:      4294967295",
		"child.child1.up:         no", "child.child1.stats.rx_packets: 0", "marking.outgoing:        active", "marking.incoming:        active ("} {
		if text := h.typed("muennet show net0"); !strings.Contains(text, "\n"+line) {
			t.Errorf("%q is not in\n%s", line, text)
		}
	}
	h.ip("link set child1 name renamed")
	testnet.Eventually(t, "the new name is known", func() bool { return strings.Contains(h.family(), "renamed: ") })
	if r := h.shell("muennet_cfg del_child child1"); r.code != 1 || r.stderr != "muennet_cfg: delete child: child1: no such interface here\n" {
		t.Errorf("del_child by the old name: exit code %d, %q", r.code, r.stderr)
	}
	h.typed("muennet_cfg del_mark renamed 4294967295")
	h.typed("muennet_cfg add_mark child0 4294967295")
	h.typed("muennet_cfg del_mark child0 0x1")
	if got := h.family(); got != "child0: [305419896 4294967295], renamed: []" {
		t.Errorf("children %q", got)
	}
	h.typed("muennet_cfg del_child renamed")
	if got := h.interfaces(); !slices.Equal(got, []string{"child0", "lo", "net0"}) {
		t.Errorf("interfaces %q after del_child", got)
	}
	h.typed("muennet unload net0")
	if got := h.interfaces(); !slices.Equal(got, []string{"lo"}) {
		t.Errorf("interfaces %q after unload of the parent", got)
	}
}

// TestCfgUsers: who may change children, by the credentials of the connection.
func TestCfgUsers(t *testing.T) {
	begin(t)
	const user, group = 65534, 4711
	dir := installed(t)
	h := threeModes(t, func(h *host, params ...string) {
		h.control = filepath.Join(dir, "control.sock")
		h.start(append([]string{"--control-group", fmt.Sprint(group)}, params...)...)
	})
	as := func(cred syscall.Credential, args string) result {
		c := h.Command(filepath.Join(dir, "muennet_cfg"), strings.Fields(args)...)
		c.Env = append(os.Environ(), "MUENNET_CONTROL="+h.control)
		c.Dir = "/"
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &cred}
		return h.run(c)
	}
	plain := syscall.Credential{Uid: user, Gid: user}
	requests := []string{"add_child net0 x", "add_mark child0 8", "del_mark child1 7", "del_child child0"}
	refused := func(why string) {
		t.Helper()
		for _, args := range requests {
			if r := as(plain, args); r.code != 1 || r.stderr != "muennet_cfg: "+why+"\n" {
				t.Errorf("%s as a plain user: exit code %d, %q; want %q", args, r.code, r.stderr, why)
			}
		}
		if got := h.family(); got != familyAtFirst {
			t.Errorf("a plain user has changed the children: %q", got)
		}
	}
	refused("open control socket " + h.control + ": permission denied: only root and the socket's group may")
	if err := os.Chmod(h.control, 0o666); err != nil {
		t.Fatal(err)
	}
	refused("not allowed: uid 65534 may only read; root and members of group 4711 may make changes")
	if err := os.Chmod(h.control, 0o660); err != nil {
		t.Fatal(err)
	}
	for _, args := range requests {
		member := plain
		member.Groups = []uint32{group}
		if r := as(member, args); r.code != 0 || r.stderr != "" {
			t.Errorf("%s as a member of the group: exit code %d, %q", args, r.code, r.stderr)
		}
	}
	if got := h.family(); got != "child1: [4294967295], x: []" {
		t.Errorf("after the member's requests the children are %q", got)
	}
}
