package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/testnet"
	"github.com/muennet/muennet/internal/testnet/confine"
)

// someUser is not root.
const someUser = 54321

// containerDefaults are the capabilities that Docker gives to root in a
// container.
var containerDefaults = []int{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FSETID, unix.CAP_FOWNER, unix.CAP_MKNOD, unix.CAP_NET_RAW, unix.CAP_SETGID,
	unix.CAP_SETUID, unix.CAP_SETFCAP, unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_CHROOT, unix.CAP_KILL, unix.CAP_AUDIT_WRITE,
}

// containerRefuses are the system calls of ours that Docker's filter refuses
// without CAP_SYS_ADMIN or CAP_BPF.
var containerRefuses = []confine.Refusal{
	{Call: unix.SYS_BPF, Errno: unix.EPERM}, {Call: unix.SYS_SETNS, Errno: unix.EPERM}, {Call: unix.SYS_UNSHARE, Errno: unix.EPERM},
	{Call: unix.SYS_MOUNT, Errno: unix.EPERM}, {Call: unix.SYS_IO_URING_SETUP, Errno: unix.EPERM}, {Call: unix.SYS_CLONE3, Errno: unix.ENOSYS},
}

// Each row of the table in docs/muen.md. A life of an interface, with children,
// changes and a crash, takes CAP_NET_ADMIN alone.
func TestCapabilities(t *testing.T) {
	begin(t)
	const admin, bpf, sys, broadcast = unix.CAP_NET_ADMIN, unix.CAP_BPF, unix.CAP_SYS_ADMIN, unix.CAP_NET_BROADCAST
	user := func(capabilities ...int) *confine.Spec {
		return &confine.Spec{Rights: &confine.Rights{User: someUser, Capabilities: capabilities, NoNewPrivs: true}}
	}
	root := func(capabilities ...int) *confine.Spec {
		return &confine.Spec{Rights: &confine.Rights{Capabilities: capabilities}}
	}
	container := func(capabilities ...int) *confine.Spec {
		s := root(append(capabilities, containerDefaults...)...)
		s.Refuse = containerRefuses
		return s
	}
	for name, row := range map[string]struct {
		spec           *confine.Spec
		marks, follows bool
		lacks          string // what the log names, to follow an interface
	}{
		"user, NET_ADMIN":                           {spec: user(admin), lacks: "CAP_NET_BROADCAST and CAP_SYS_ADMIN"},
		"user, NET_ADMIN, BPF":                      {spec: user(admin, bpf), marks: true, lacks: "CAP_NET_BROADCAST and CAP_SYS_ADMIN"},
		"user, NET_ADMIN, NET_BROADCAST":            {spec: user(admin, broadcast), lacks: "it takes CAP_SYS_ADMIN"},
		"user, NET_ADMIN, SYS_ADMIN":                {spec: user(admin, sys), marks: true, lacks: "it takes CAP_NET_BROADCAST"},
		"user, NET_ADMIN, SYS_ADMIN, NET_BROADCAST": {spec: user(admin, sys, broadcast), marks: true, follows: true},
		"root, NET_ADMIN":                           {spec: root(admin), lacks: "CAP_NET_BROADCAST and CAP_SYS_ADMIN"},
		"container, NET_ADMIN":                      {spec: container(admin), lacks: "CAP_NET_BROADCAST and CAP_SYS_ADMIN"},
	} {
		t.Run(name, func(t *testing.T) {
			h := testLifeConfined(t, row.spec)
			s := h.show("net0")
			for _, direction := range []string{s.Marking.Outgoing, s.Marking.Incoming} {
				if row.marks != strings.HasPrefix(direction, "active") || row.marks == strings.Contains(direction, "CAP_BPF") {
					t.Errorf("marks: %s", direction)
				}
			}
			testMoved(t, h, row.follows, row.lacks)
			h.must("unload")
			if left := h.Names(); !slices.Equal(left, nil) {
				t.Errorf("%q are left", left)
			}
		})
	}
}

// testMoved moves net0 to another namespace and back.
func testMoved(t *testing.T, h *host, follows bool, lacks string) {
	t.Helper()
	there := testnet.New(t)
	index := h.Index("net0")
	h.ip("link set net0 down")
	if err := h.Link().MoveToNetNS(index, there.FD()); err != nil {
		t.Fatal(err)
	}
	if follows {
		h.awaitShow("net0", "it is followed", func(s api.Interface) bool { return s.NetNS == there.ID() })
		if err := there.Link().SetUp(there.Index("net0")); err != nil {
			t.Fatal(err)
		}
		h.awaitShow("net0", "it is up there", func(s api.Interface) bool { return s.Up })
	} else {
		testnet.Eventually(t, "the log tells what is missing", func() bool { return strings.Contains(h.log.String(), lacks) })
		if s := h.show("net0"); s.NetNS != h.ID() || s.Up {
			t.Errorf("show %+v; want it where it was seen last", s)
		}
	}
	if err := there.Link().MoveToNetNS(there.Index("net0"), h.FD()); err != nil {
		t.Fatal(err)
	}
	h.ip("link set net0 up")
	h.awaitShow("net0", "it is back", func(s api.Interface) bool { return s.NetNS == h.ID() && s.Up })
}

// Without CAP_NET_ADMIN there is no interface, and the error says what to do.
func TestNoCapabilities(t *testing.T) {
	begin(t)
	for name, user := range map[string]int{"user": someUser, "root": 0} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, makeChannels(t, "a", "b"))
			h.confine(&confine.Spec{Rights: &confine.Rights{User: user}})
			r := h.muennet("run", "name=net0", "in=a", "out=b", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12")
			if r.code == 0 || !strings.Contains(r.stderr, "CAP_NET_ADMIN") || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("exit code %d, error %q", r.code, r.stderr)
			}
		})
	}
}

// confine has all that is started on the host do without something. A user that
// is not root gets what belongs to root here: the program, channels and socket.
func (h *host) confine(spec *confine.Spec) {
	h.t.Helper()
	h.confined = spec
	if spec.Rights == nil || spec.Rights.User == 0 {
		return
	}
	for _, path := range []string{program, h.channels, filepath.Dir(h.control)} {
		for dir := path; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			info, err := os.Stat(dir)
			if err == nil && info.Mode()&0o111 != 0o111 {
				err = os.Chmod(dir, info.Mode()|0o111)
			}
			if err != nil {
				h.t.Fatal(err)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(h.channels, "*"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, path := range append(files, h.channels, filepath.Dir(h.control)) {
		if err := os.Chown(path, spec.Rights.User, spec.Rights.User); err != nil {
			h.t.Fatal(err)
		}
	}
}

// Channels that belong to others take CAP_DAC_OVERRIDE.
func TestCapabilityForForeignChannels(t *testing.T) {
	begin(t)
	load := []string{"name=net0", "in=a", "out=b", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12"}
	for name, may := range map[string]bool{"without": false, "with": true} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, makeChannels(t, "a", "b"))
			rights := &confine.Rights{User: someUser, Capabilities: []int{unix.CAP_NET_ADMIN}}
			if may {
				rights.Capabilities = append(rights.Capabilities, unix.CAP_DAC_OVERRIDE)
			}
			h.confine(&confine.Spec{Rights: rights})
			for _, channel := range []string{"a", "b"} {
				if err := os.Chown(filepath.Join(h.channels, channel), 0, 0); err != nil {
					t.Fatal(err)
				}
			}
			if may {
				h.start(load...)
				return
			}
			if r := h.muennet(append([]string{"run"}, load...)...); r.code == 0 || !strings.Contains(r.stderr, "permission denied") {
				t.Errorf("exit code %d, error %q", r.code, r.stderr)
			}
		})
	}
}

// After a crash, an interface in a namespace that only another user's process
// leads to takes CAP_SYS_PTRACE.
func TestCapabilityForForeignNamespaces(t *testing.T) {
	begin(t)
	load := []string{"name=net0", "in=a", "out=b", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12"}
	for name, may := range map[string]bool{"without": false, "with": true} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, makeChannels(t, "a", "b"))
			rights := &confine.Rights{User: someUser, Capabilities: []int{unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN, unix.CAP_NET_BROADCAST}}
			if may {
				rights.Capabilities = append(rights.Capabilities, unix.CAP_SYS_PTRACE)
			}
			h.confine(&confine.Spec{Rights: rights})
			h.start(load...)
			there := testnet.New(t)
			sleep := there.Command(testnet.Need(t, "sleep"), "1000")
			if err := sleep.Start(); err != nil {
				t.Fatal(err)
			}
			if err := h.Link().MoveToNetNS(h.Index("net0"), there.FD()); err != nil {
				t.Fatal(err)
			}
			h.awaitShow("net0", "it is followed", func(s api.Interface) bool { return s.NetNS == there.ID() })
			h.kill()
			h.start(load...)
			if s := h.show("net0"); s.Adopted != may || (s.NetNS == there.ID()) != may {
				t.Errorf("after the crash: %+v", s)
			}
			h.must("unload")
			if !may {
				if err := there.Link().Delete(there.Index("net0")); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
