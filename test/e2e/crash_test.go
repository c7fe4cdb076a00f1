package e2e

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/testnet"
)

// A crash of the daemon is a break in the traffic and nothing else: interface,
// addresses and routes stay, and the same load takes the interface over,
// wherever it is by then and whatever it is called.
func TestKilledDaemonComesBack(t *testing.T) {
	begin(t)
	p := newPair(t, "net_hdr")
	p.up()
	p.a.ip("route add 10.9.0.0/16 dev net0")
	crash := func(name string, at *host) {
		t.Helper()
		before := p.a.show(name)
		client, server := connect(t, at, p.b, addrB)
		stop := make(chan struct{})
		type end struct {
			records int
			err     error
		}
		ended := make(chan end, 1)
		progress := make(chan int)
		go func() {
			n, err := stream(client, server, func(sent int) bool {
				select {
				case <-stop:
					return false
				case progress <- sent:
					return true
				}
			})
			ended <- end{n, err}
		}()
		more := func(n int) {
			t.Helper()
			for range n {
				select {
				case <-progress:
				case e := <-ended:
					t.Fatalf("the connection broke after %d records: %v", e.records, e.err)
				}
			}
		}
		more(20)
		log := watchNamespace(t, at.NS)
		p.a.kill()
		if s, err := at.Link().ByIndex(before.Index); err != nil || s.Name != name || !s.Up {
			t.Errorf("without a daemon: %+v, %v", s, err)
		}
		p.a.start("name=net0", "in=ba", "out=ab", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12")
		more(40)
		after := p.a.show(name)
		if !after.Adopted || after.Index != before.Index || after.NetNS != before.NetNS || !after.Up {
			t.Errorf("before %+v, after %+v", before, after)
		}
		for _, what := range log.removals() {
			t.Errorf("%s: something was removed: %s", name, what)
		}
		if routes := at.ip("route show dev " + name); !strings.Contains(routes, "10.9.0.0/16") {
			t.Errorf("routes: %s", routes)
		}
		close(stop)
		if e := <-ended; e.err != nil {
			t.Errorf("after %d records: %v", e.records, e.err)
		}
	}
	crash("net0", p.a)

	p.a.ip("link set net0 name uplink0")
	p.a.awaitShow("uplink0", "the new name", func(s api.Interface) bool { return s.Up })
	crash("uplink0", p.a)

	// Elsewhere it is found through a process that lives there.
	there := newHost(t, p.a.channels)
	if err := there.Command(testnet.Need(t, "sleep"), "100000").Start(); err != nil {
		t.Fatal(err)
	}
	p.a.ip("link set uplink0 netns " + there.Path())
	there.Up("uplink0", addrA+"/24")
	there.ip("route add 10.9.0.0/16 dev uplink0")
	p.a.awaitShow("uplink0", "the other namespace", func(s api.Interface) bool { return s.NetNS == there.ID() && s.Up })
	crash("uplink0", there)
	if names := interfaces(t, p.a); !slices.Equal(names, []string{"lo"}) {
		t.Errorf("interfaces where the daemon runs: %v", names)
	}
}

// A state file that a crash of the machine or a careless hand has damaged is
// told once, and is in the way of nothing.
func TestDamagedStateFile(t *testing.T) {
	begin(t)
	h := newHost(t, makeChannels(t, "a"))
	params := []string{"name=net0", "out=a", "writer_protocol=1", "flags=net_hdr"}
	damage := func() {
		t.Helper()
		h.start(params...)
		h.kill()
		if err := os.Truncate(h.control+".state", 20); err != nil {
			t.Fatal(err)
		}
	}
	damage()
	r := h.muennet("unload")
	if r.code != 0 || r.stdout != "removed net0\n" || !strings.Contains(r.stderr, h.control+".state") {
		t.Errorf("unload: %+v", r)
	}
	damage()
	h.start(params...)
	if s := h.show("net0"); !s.Adopted {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(h.log.String(), h.control+".state") {
		t.Errorf("nothing is said about it: %s", h.log)
	}
	h.kill()
	if r := h.muennet("unload"); r.code != 0 || r.stderr != "" {
		t.Errorf("unload: %+v", r)
	}
}

func TestUnloadAfterACrash(t *testing.T) {
	begin(t)
	h := newHost(t, makeChannels(t, "a", "b", "c"))
	there := newHost(t, h.channels)
	if err := there.Command(testnet.Need(t, "sleep"), "100000").Start(); err != nil {
		t.Fatal(err)
	}
	h.start("name=net0,net1", "out=a,b", "writer_protocol=1,1", "flags=net_hdr,eth_dev")
	h.ip("link set net0 up")
	h.ip("link set net1 netns " + there.Path())
	h.awaitShow("net1", "the other namespace", func(s api.Interface) bool { return s.NetNS == there.ID() })
	h.MustRun("ip", "tuntap", "add", "foreign", "mode", "tun")
	testnet.Eventually(t, "the move is remembered", func() bool {
		state, err := os.ReadFile(h.control + ".state")
		return err == nil && strings.Contains(string(state), fmt.Sprint(there.ID()))
	})
	h.kill()

	r := h.muennet("unload")
	lines := strings.Fields(r.stdout)
	if r.code != 0 || !slices.Contains(lines, "net0") || !slices.Contains(lines, "net1") || slices.Contains(lines, "foreign") {
		t.Errorf("unload: exit code %d, %q, %q", r.code, r.stdout, r.stderr)
	}
	if here, other := interfaces(t, h), interfaces(t, there); !slices.Equal(here, []string{"foreign", "lo"}) || !slices.Equal(other, []string{"lo"}) {
		t.Errorf("left here %v, there %v", here, other)
	}
	nothingAtControl(t, h)
	if r := h.muennet("unload"); r.code != 1 || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("second unload: exit code %d, %q", r.code, r.stderr)
	}
}

// nothingAtControl checks that no socket, lock, state or log is left.
func nothingAtControl(t *testing.T, h *host) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(filepath.Dir(h.control), "*"))
	left = slices.DeleteFunc(left, func(path string) bool { return filepath.Base(path) == "muennet.log" })
	if err != nil || len(left) != 0 {
		t.Errorf("left at the control socket: %v, %v", left, err)
	}
}

// namespaceLog collects what rtnetlink tells of a namespace.
type namespaceLog struct {
	t  *testing.T
	fd int
}

// watchNamespace collects from now on.
func watchNamespace(t *testing.T, ns *testnet.NS) *namespaceLog {
	t.Helper()
	l := &namespaceLog{t: t}
	ns.Do(func() {
		var err error
		if l.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(l.fd) })
		if err := unix.SetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20); err != nil {
			t.Fatal(err)
		}
		const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV6_ROUTE
		if err := unix.Bind(l.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
			t.Fatal(err)
		}
	})
	return l
}

// removals lists the links, addresses and routes that were removed so far.
func (l *namespaceLog) removals() (found []string) {
	l.t.Helper()
	names := map[uint16]string{unix.RTM_DELLINK: "link", unix.RTM_DELADDR: "address", unix.RTM_DELROUTE: "route"}
	buf := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(l.fd, buf, 0)
		if err == unix.EAGAIN {
			return found
		}
		if err != nil {
			l.t.Fatalf("read link, address and route events: %v", err)
		}
		for rest := buf[:n]; len(rest) >= unix.NLMSG_HDRLEN; {
			size := int(binary.NativeEndian.Uint32(rest))
			if size < unix.NLMSG_HDRLEN || size > len(rest) {
				l.t.Fatalf("event of %d bytes in %d", size, len(rest))
			}
			if name, removed := names[binary.NativeEndian.Uint16(rest[4:])]; removed {
				found = append(found, fmt.Sprintf("%s %x", name, rest[unix.NLMSG_HDRLEN:size]))
			}
			rest = rest[min(len(rest), (size+3)&^3):]
		}
	}
}
