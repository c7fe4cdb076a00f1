package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/testnet"
)

// marklessWarning begins the one line that says that marks are not carried.
const marklessWarning = "Netfilter marks are not carried"

// Without BPF all goes on but for marks on packets.
func TestWithoutBPF(t *testing.T) {
	begin(t)
	l := newLone(t, "--no-bpf", "pmtu="+newPMTU(t))
	l.Up("net0", "10.0.0.1/24")
	l.child("child0", "10.1.0.1/24", 7, 100)
	l.child("child1", "10.2.0.1/24")
	parent, child := newMarkSocket(t, l.NS, "net0", "10.0.0.2"), newMarkSocket(t, l.NS, "child0", "10.1.0.2")
	for _, mark := range someMarks {
		payload := fmt.Sprintf("mark %#x", mark)
		if mark == 7 || mark == 100 {
			l.in.send(element.NetHdr, udp("10.1.0.2", "10.1.0.1", []byte(payload)), mark)
			child.expect(0, payload)
		} else {
			l.in.send(element.NetHdr, udp("10.0.0.2", "10.0.0.1", []byte(payload)), mark)
			parent.expect(0, payload)
		}
		for _, s := range []*markSocket{parent, child} {
			// Without a mark there is no path MTU either.
			s.option(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, mtuDF)
			s.send(mark, content(1, 1472))
			if e := l.out.next(); e.mark != 0 || len(e.data) != 1500 {
				t.Errorf("%d bytes with mark %#x are sent, want 1500 without a mark", len(e.data), e.mark)
			}
		}
	}
	s := l.show("net0")
	for _, m := range []*api.Marking{s.Marking, s.Children[0].Marking, s.Children[1].Marking} {
		if m.Outgoing != "eBPF is switched off" || m.Incoming != m.Outgoing || m.Queues != 1 {
			t.Errorf("%+v", m)
		}
	}
	if len(s.Drops) > 0 || s.Marking.Unmarked != 3 || s.Children[0].Marking.Unmarked != 2 {
		t.Errorf("drops %v, %d and %d packets unmarked", s.Drops, s.Marking.Unmarked, s.Children[0].Marking.Unmarked)
	}
	if text := l.must("show", "net0"); !strings.Contains(text, "eBPF is switched off") {
		t.Errorf("show does not say that marks are not carried:\n%s", text)
	}
	if n := strings.Count(l.log.String(), marklessWarning); n != 1 {
		t.Errorf("%d warnings, want 1", n)
	}
}

func TestTrafficWithoutBPF(t *testing.T) {
	begin(t)
	p := newPair(t, "net_hdr", "--no-bpf")
	p.up()
	p.a.MustRun("iptables", strings.Fields("-t mangle -A OUTPUT -o net0 -j MARK --set-mark 7")...)
	newPinger(t, p.a, addrA, addrB).sweep(1450, 1500-overhead4)
	client, server := connect(t, p.a, p.b, addrB)
	if n, err := stream(client, server, func(sent int) bool { return sent < 64 }); err != nil || n != 64 {
		t.Errorf("%d records, error %v", n, err)
	}
	p.nothingLost(t)
}

// A device that had the programs goes on without them, and with them again.
func TestBPFGoesAndComesBack(t *testing.T) {
	begin(t)
	l := newLone(t)
	l.Up("net0", "10.0.0.1/24")
	l.child("child0", "10.1.0.1/24", 7)
	params := l.params
	for i, without := range []bool{false, true, true, false} {
		if i > 0 {
			if l.params = params; without {
				l.params = append([]string{"--no-bpf"}, params...)
			}
			l.crash()
			l.awaitShow("net0", "the child is up", func(s api.Interface) bool { return len(s.Children) == 1 && s.Children[0].Up })
		}
		for device, to := range map[string]string{"net0": "10.0.0.2", "child0": "10.1.0.2"} {
			s := newMarkSocket(t, l.NS, device, to)
			for _, mark := range someMarks {
				s.send(mark, []byte("muennet"))
				want := mark
				if without {
					want = 0
				}
				if e := l.out.next(); e.mark != want {
					t.Errorf("start %d: mark %#x is sent as %#x, want %#x", i, mark, e.mark, want)
				}
			}
			s.close()
		}
	}
}

// userNS is a user and network namespace of their own, in which muennet runs
// as root there and user nobody here.
type userNS struct {
	t    *testing.T
	pid  string
	args []string // of muennet
}

func (u *userNS) command(args ...string) *exec.Cmd {
	u.t.Helper()
	return exec.Command(testnet.Need(u.t, "nsenter"), append([]string{"--preserve-credentials", "--user", "--net", "--target", u.pid}, args...)...)
}

func (u *userNS) run(args ...string) string {
	u.t.Helper()
	out, err := u.command(args...).CombinedOutput()
	if err != nil {
		u.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (u *userNS) muennet(args ...string) string {
	u.t.Helper()
	return u.run(append(append([]string{}, u.args...), args...)...)
}

func (u *userNS) show() (s api.Interface) {
	u.t.Helper()
	if err := json.Unmarshal([]byte(u.muennet("show", "net0", "--json")), &s); err != nil {
		u.t.Fatal(err)
	}
	return s
}

// newUserNS makes the namespaces, which end with the test.
func newUserNS(t *testing.T, channels string) *userNS {
	t.Helper()
	here, err := os.Readlink("/proc/self/ns/user")
	if err != nil {
		t.Fatal(err)
	}
	holder := exec.Command(testnet.Need(t, "unshare"), "--user", "--map-root-user", "--net", "sleep", "1000")
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = holder.Process.Kill()
		_ = holder.Wait()
	})
	u := &userNS{t: t, pid: fmt.Sprint(holder.Process.Pid)}
	u.args = []string{program, "--control", filepath.Join(t.TempDir(), "control.sock"), "--channels", channels}
	testnet.Eventually(t, "the namespaces exist", func() bool {
		command, err := os.ReadFile("/proc/" + u.pid + "/comm")
		there, linkErr := os.Readlink("/proc/" + u.pid + "/ns/user")
		return err == nil && linkErr == nil && there != here && string(command) == "sleep\n"
	})
	return u
}

// start runs muennet, which ends before the namespaces do.
func (u *userNS) start(log *testnet.Buffer, params ...string) {
	u.t.Helper()
	daemon := u.command(append(append(u.args[:len(u.args):len(u.args)], "run"), params...)...)
	daemon.Stdout, daemon.Stderr = log, log
	if err := daemon.Start(); err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() {
		_ = daemon.Process.Signal(unix.SIGTERM)
		if err := daemon.Wait(); err != nil {
			u.t.Errorf("muennet ended with %v\n%s", err, log)
		}
	})
	testnet.Eventually(u.t, "muennet is ready", func() bool { return strings.Contains(log.String(), "msg=ready") })
}

// In a user namespace there is no permission for BPF: one warning, and the rest
// works.
func TestInUserNamespace(t *testing.T) {
	begin(t)
	dir := makeChannels(t, "ab", "ba")
	in, out := newPeer(t, dir, "ba"), newOutChannel(t, dir, "ab")
	u := newUserNS(t, dir)
	log := &testnet.Buffer{}
	u.start(log, "name=net0", "in=ba", "out=ab", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12", "pmtu="+newPMTU(t))

	u.muennet("cfg", "add_child", "net0", "child0")
	u.muennet("cfg", "add_mark", "child0", "7")
	for _, device := range []string{"net0", "child0"} {
		u.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/"+device+"/disable_ipv6")
		u.run("ip", "link", "set", device, "up")
	}
	u.run("ip", "addr", "add", "10.0.0.1/24", "dev", "net0")
	in.start(0x12, element.NetHdr.Size(1500))
	testnet.Eventually(t, "all is up", func() bool {
		s := u.show()
		return s.Reader.Peer == "active" && s.Children[0].Up
	})
	for _, mark := range []uint32{0, 7, 7, 8, 7} {
		in.send(element.NetHdr, numbered(mark, 0), mark)
	}
	testnet.Eventually(t, "packets", func() bool {
		s := u.show()
		return s.Stats.RxPackets == 2 && s.Children[0].Stats.RxPackets == 3
	})
	for _, mark := range []string{"0", "4"} {
		// There is no answer, so ping fails.
		ping, err := u.command("ping", "-c", "1", "-W", "0.01", "-s", "1472", "-m", mark, "10.0.0.2").CombinedOutput()
		if err == nil || !strings.Contains(string(ping), "1 packets transmitted, 0 received") {
			t.Fatalf("ping: %v: %s", err, ping)
		}
		if e := out.next(); e.mark != 0 || len(e.data) != 1500 {
			t.Errorf("%d bytes with mark %d are sent, want 1500 without a mark", len(e.data), e.mark)
		}
	}
	s := u.show()
	for _, m := range []*api.Marking{s.Marking, s.Children[0].Marking} {
		for _, why := range []string{m.Outgoing, m.Incoming} {
			if !strings.Contains(why, "CAP_BPF") {
				t.Errorf("marks are said to be %q, want the permission that is missing", why)
			}
		}
	}
	if n := strings.Count(log.String(), marklessWarning); n != 1 || strings.Count(log.String(), "level=WARN") != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, log)
	}
}
