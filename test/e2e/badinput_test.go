package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
)

// refusal is a command that must fail.
type refusal struct {
	what string
	args string   // blank-separated
	code int      // exit code
	want []string // in the line on stderr
}

const (
	failed = 1
	usage  = 2
)

// loads is an interface that could be made, but for what is added to it.
const loads = "load name=net0 in=a out=b flags=net_hdr reader_protocol=2 writer_protocol=2"

// refusals need no daemon and are the same with one.
var refusals = []refusal{
	{"no command", "", usage, []string{"no command", "load"}},
	{"unknown command", "lod name=net0", usage, []string{`"lod"`, "load"}},
	{"unknown option", loads + " --nonsense", usage, []string{"--nonsense"}},
	{"unknown log level", "--log-level loud " + loads, usage, []string{"loud", "debug"}},
	{"unknown key", loads + " wirter_protocol=2", usage, []string{"wirter_protocol", "writer_protocol"}},
	{"no value", loads + " mtu", usage, []string{"mtu"}},
	{"key given twice", loads + " in=c", usage, []string{"in", "twice"}},
	{"list longer than name", "load name=net0 in=a,c reader_protocol=2,2", usage, []string{"in"}},
	{"no name", "load in=a reader_protocol=2", usage, []string{"name"}},
	{"name of 16 characters", "load name=abcdefghijklmnop in=a reader_protocol=2", usage, []string{"abcdefghijklmnop", "15"}},
	{"name with a slash", "load name=a/b in=a reader_protocol=2", usage, []string{"a/b"}},
	{"name twice", "load name=net0,net0 in=a,c reader_protocol=2,2", usage, []string{"net0", "same name"}},
	{"protocol 0", "load name=net0 in=a reader_protocol=0", usage, []string{"reader_protocol", "0"}},
	{"protocol missing", "load name=net0 in=a out=b reader_protocol=2", usage, []string{"writer_protocol", "out=b"}},
	{"protocol empty", "load name=net0,net1 in=a,c reader_protocol=2,", usage, []string{"reader_protocol", "in=c"}},
	{"protocol g", "load name=net0 in=a reader_protocol=g", usage, []string{"reader_protocol", "hexadecimal"}},
	{"protocol of 65 bits", "load name=net0 in=a reader_protocol=10000000000000000", usage, []string{"reader_protocol"}},
	{"mtu 0", loads + " mtu=0", usage, []string{"mtu", "65535"}},
	{"mtu -1", loads + " mtu=-1", usage, []string{"mtu", "-1"}},
	{"mtu 0x100", loads + " mtu=0x100", usage, []string{"mtu", "0x100"}},
	{"mtu 67", loads + " mtu=67", usage, []string{"mtu", "68"}},
	{"mtu 65536", loads + " mtu=65536", usage, []string{"mtu", "65535"}},
	{"mtu too large for Ethernet", "load name=net0 in=a reader_protocol=2 flags=eth_dev mtu=65522", usage, []string{"mtu", "65521"}},
	{"unknown flag", "load name=net0 in=a reader_protocol=2 flags=nethdr", usage, []string{"nethdr", "net_hdr", "eth_dev"}},
	{"prefix of a flag", "load name=net0 in=a reader_protocol=2 flags=net", usage, []string{"net_hdr", "eth_dev"}},
	{"both flags", "load name=net0 in=a reader_protocol=2 flags=net_hdr+eth_dev", usage, []string{"net_hdr", "eth_dev"}},
	{"no direction", "load name=net0 flags=net_hdr", usage, []string{"in", "out"}},
	{"poll", loads + " poll=-1", usage, []string{"poll"}},
	{"carrier", loads + " carrier=on", usage, []string{"carrier", "admin", "peer"}},
	{"two writers in one load", "load name=net0,net1 out=a,a writer_protocol=2,2", usage, []string{"out", "one writer"}},
	{"missing file", "load --config /nonexistent/muennet.conf", usage, []string{"/nonexistent/muennet.conf"}},
	{"missing channel", "load name=net0 in=none reader_protocol=2", failed, []string{"net0", "none", "channel create"}},
	{"missing channel to write", "load name=net0 in=a reader_protocol=2 out=none writer_protocol=2", failed, []string{"net0", "none", "channel create"}},
	{"region too small for one element", "load name=net0 out=small writer_protocol=2 flags=net_hdr", failed, []string{"net0", "small", "200 bytes", "1508"}},
	{"region too small for a header", "load name=net0 out=tiny writer_protocol=2", failed, []string{"tiny", "63"}},
	{"channel is a directory", "load name=net0 in=/proc/sys reader_protocol=2", failed, []string{"/proc/sys", "directory"}},
	{"name taken", "load name=lo in=a reader_protocol=2", failed, []string{"lo", "taken"}},
	{"second of three fails", "load name=net0,net1,net2 in=a,none,c reader_protocol=2,2,2", failed, []string{"net1", "none"}},
	{"third of three fails", "load name=net0,net1,lo out=a,b,c writer_protocol=2,2,2 flags=net_hdr,eth_dev", failed, []string{"lo", "taken"}},
	{"show of too much", "show net0 net1", usage, []string{"arg"}},
	{"missing channel to show", "channel show none", failed, []string{"none"}},
	{"existing channel to create", "channel create a", failed, []string{"a", "exists"}},
	{"channel size", "channel create e --size 0", usage, []string{"size"}},
}

// badLab is a host with the channels that the refusals are about.
func badLab(t *testing.T) *host {
	t.Helper()
	h := newHost(t, makeChannels(t, "a", "b", "c", "held"))
	for name, size := range map[string]int{"small": 200, "tiny": 63} {
		if err := os.WriteFile(filepath.Join(h.channels, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// check runs the command, which must fail as it should.
func (r refusal) check(t *testing.T, got result) {
	t.Helper()
	if got.code != r.code {
		t.Errorf("exit code %d, want %d", got.code, r.code)
	}
	if strings.Count(got.stderr, "\n") != 1 || !strings.HasPrefix(got.stderr, "muennet: ") || !strings.HasSuffix(got.stderr, "\n") {
		t.Errorf("stderr is not one line: %q", got.stderr)
	}
	if got.stdout != "" {
		t.Errorf("stdout %q", got.stdout)
	}
	for _, want := range r.want {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("%q does not say %q", got.stderr, want)
		}
	}
}

func TestBadInputWithoutADaemon(t *testing.T) {
	begin(t)
	h := badLab(t)
	before := channelFiles(t, h)
	all := append(slices.Clone(refusals),
		refusal{"show", "show", failed, []string{"not running", h.control}},
		refusal{"show of one", "show net0", failed, []string{"not running", h.control}},
		refusal{"unload of one", "unload net0", failed, []string{"not running", h.control}},
		refusal{"unload", "unload", failed, []string{"not running"}},
	)
	for _, r := range all {
		t.Run(r.what, func(t *testing.T) {
			r.check(t, h.muennet(strings.Fields(r.args)...))
			if pid := h.pid(); pid != 0 {
				t.Errorf("process %d is left", pid)
			}
			if names := interfaces(t, h); !slices.Equal(names, []string{"lo"}) {
				t.Errorf("interfaces %v are left", names)
			}
			nothingAtControl(t, h)
			if after := channelFiles(t, h); !slices.Equal(after, before) {
				t.Errorf("channels %v, were %v", after, before)
			}
		})
	}
	// run refuses what load does, and leaves as little.
	for _, r := range refusals {
		if args, isLoad := strings.CutPrefix(r.args, "load "); isLoad {
			t.Run("run: "+r.what, func(t *testing.T) {
				got := h.muennet(append([]string{"--log-level", "error", "run"}, strings.Fields(args)...)...)
				r.check(t, got)
				if names := interfaces(t, h); !slices.Equal(names, []string{"lo"}) {
					t.Errorf("interfaces %v are left", names)
				}
				nothingAtControl(t, h)
			})
		}
	}
}

func channelFiles(t *testing.T, h *host) (names []string) {
	t.Helper()
	infos, err := region.List(h.channels)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		names = append(names, fmt.Sprintf("%s:%d:%d", i.Name, i.Size, i.Writer))
	}
	return names
}

// With a daemon that runs already the answers are the same, and what it has is
// untouched.
func TestBadInputWithADaemon(t *testing.T) {
	begin(t)
	h := badLab(t)
	h.start("name=net9", "out=held", "writer_protocol=2", "flags=eth_dev")
	h.ip("link set net9 up")
	h.awaitShow("net9", "it is up", func(s api.Interface) bool { return s.Up })
	before, channels := h.show("net9"), channelFiles(t, h)
	all := append(slices.Clone(refusals),
		refusal{"show of an unknown one", "show net0", failed, []string{"net0"}},
		refusal{"unload of an unknown one", "unload net0", failed, []string{"net0"}},
		refusal{"unload of a known and an unknown one", "unload net9 net0", failed, []string{"net0"}},
		refusal{"channel that is written already", "load name=net0 out=held writer_protocol=2", failed, []string{"net9 is loaded already with name=net9, not net0"}},
		refusal{"name of a served interface", "load name=net9 in=a reader_protocol=2", failed, []string{"net9 is loaded already with in=(none), not a, out=held, not (none)"}},
		refusal{"second daemon", "run", failed, []string{"in use", fmt.Sprintf("pid %d", h.pid())}},
		refusal{"second daemon with interfaces", "run name=net0 in=a reader_protocol=2", failed, []string{"in use", fmt.Sprintf("pid %d", h.pid())}},
	)
	for _, r := range all {
		t.Run(r.what, func(t *testing.T) {
			r.check(t, h.muennet(strings.Fields(r.args)...))
			if names := interfaces(t, h); !slices.Equal(names, []string{"lo", "net9"}) {
				t.Errorf("interfaces %v are left", names)
			}
			if all := h.showAll(); len(all) != 1 || all[0].Index != before.Index || all[0].Writer.Epoch != before.Writer.Epoch || !all[0].Up {
				t.Errorf("show %+v, was %+v", all, before)
			}
			if after := channelFiles(t, h); !slices.Equal(after, channels) {
				t.Errorf("channels %v, were %v", after, channels)
			}
		})
	}
}

// A socket that is another program's, and a file that is none.
func TestControlSocketInUse(t *testing.T) {
	begin(t)
	h := badLab(t)
	if err := os.WriteFile(h.control, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := refusal{"", loads, failed, []string{h.control, "socket"}}
	r.check(t, h.muennet(strings.Fields(loads)...))
	if err := os.Remove(h.control); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", h.control)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() { // it speaks no HTTP
		defer close(closed)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	r = refusal{"", "run", failed, []string{h.control, fmt.Sprintf("pid %d", os.Getpid())}}
	r.check(t, h.muennet("run"))
	refusal{"", loads, failed, nil}.check(t, h.muennet(strings.Fields(loads)...))
	l.Close()
	<-closed
	if names := interfaces(t, h); !slices.Equal(names, []string{"lo"}) {
		t.Errorf("interfaces %v are left", names)
	}
	nothingAtControl(t, h)
}

// A directory in which no socket can be made.
func TestControlDirectoryThatCannotBe(t *testing.T) {
	begin(t)
	h := badLab(t)
	h.control = "/proc/muennet/control.sock"
	r := refusal{"", loads, failed, []string{"/proc/muennet"}}
	r.check(t, h.muennet(strings.Fields(loads)...))
	if names := interfaces(t, h); !slices.Equal(names, []string{"lo"}) {
		t.Errorf("interfaces %v are left", names)
	}
}

// In a mount namespace without /dev/net/tun.
func TestNoTunDevice(t *testing.T) {
	begin(t)
	h := badLab(t)
	hide := "mount -t tmpfs none /dev/net && exec \"$0\" \"$@\""
	r := refusal{"", loads, failed, []string{"/dev/net/tun", "modprobe tun"}}
	for range 2 {
		c := h.command(strings.Fields(loads)...)
		args := append([]string{"--mount", "sh", "-c", hide}, c.Args...)
		hidden := h.Command(testnet.Need(t, "unshare"), args...)
		hidden.Env = c.Env
		r.check(t, h.run(hidden))
		if pid := h.pid(); pid != 0 {
			t.Errorf("process %d is left", pid)
		}
		if names := interfaces(t, h); !slices.Equal(names, []string{"lo"}) {
			t.Errorf("interfaces %v are left", names)
		}
		nothingAtControl(t, h)
	}
}

// nobody is a user without privileges.
const nobody = 65534

func TestNoPrivilege(t *testing.T) {
	begin(t)
	h := badLab(t)
	asNobody := func(args string) result {
		t.Helper()
		c := h.command(strings.Fields(args)...)
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		c.Dir = "/"
		return h.run(c)
	}
	// The user reaches the program, the channels and a directory for a socket:
	// what is missing is the right to make interfaces.
	open := []string{filepath.Dir(program), h.channels, filepath.Dir(h.channels), filepath.Dir(filepath.Dir(h.channels)), filepath.Dir(h.control)}
	for _, dir := range open {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "b"} {
		if err := os.Chmod(filepath.Join(h.channels, name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	r := refusal{"", loads, failed, []string{"not permitted", "/dev/net/tun"}}
	if info, err := os.Stat("/dev/net/tun"); err == nil && info.Mode().Perm()&0o006 == 0o006 {
		r.want = []string{"not permitted", "CAP_NET_ADMIN"}
	}
	r.check(t, asNobody(loads))
	if pid := h.pid(); pid != 0 {
		t.Errorf("process %d is left", pid)
	}
	nothingAtControl(t, h)
	refusal{"", "load name=net0 in=c reader_protocol=2", failed, []string{"channel c", "permission denied"}}.
		check(t, asNobody("load name=net0 in=c reader_protocol=2"))

	// A running muennet is root's: the socket cannot even be opened.
	h.start("name=net9", "out=held", "writer_protocol=2")
	for _, args := range []string{loads, "unload", "unload net9", "show"} {
		refusal{"", args, failed, []string{h.control, "only root"}}.check(t, asNobody(args))
	}
	// Who may open it, may look, but change nothing.
	if err := os.Chmod(h.control, 0o666); err != nil {
		t.Fatal(err)
	}
	if got := asNobody("show net9"); got.code != 0 || !strings.Contains(got.stdout, "net9") {
		t.Errorf("show: %+v", got)
	}
	for _, args := range []string{loads, "unload", "unload net9"} {
		refusal{"", args, failed, []string{"not allowed", "65534"}}.check(t, asNobody(args))
	}
	if all := h.showAll(); len(all) != 1 || all[0].Name != "net9" {
		t.Errorf("show %+v", all)
	}
}
