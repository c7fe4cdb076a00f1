package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
)

// party is one end of a pair to which anything may happen.
type party struct {
	*host
	r             *rand.Rand
	namespaces    []*testnet.NS // where its interface may be; the first is its home
	local, remote string
	params        []string // of the load

	at       *testnet.NS // where the interface is
	name     string      // what it is called
	children []string
	marks    map[string]string // child of each mark, as the command line has it
	serial   int               // of names
}

// newParty starts a host with net0 and a second namespace to move it to.
func newParty(t *testing.T, r *rand.Rand, dir, local, remote, in, out string) *party {
	t.Helper()
	p := &party{
		host: newHost(t, dir), r: r, local: local, remote: remote,
		params: []string{"name=net0", "in=" + in, "out=" + out, "flags=net_hdr", "reader_protocol=12", "writer_protocol=12"},
		marks:  make(map[string]string),
	}
	p.Quiet()
	p.namespaces = []*testnet.NS{p.NS, inhabited(t)}
	for _, ns := range p.namespaces {
		ns.Sysctl("net.ipv4.conf.all.rp_filter", "0")
		ns.Sysctl("net.ipv4.conf.default.rp_filter", "0")
	}
	p.begin()
	p.begun()
	return p
}

// begin starts the daemon with net0.
func (p *party) begin() {
	p.t.Helper()
	p.start(p.params...)
}

// begun notes that net0 was made anew and brings it up.
func (p *party) begun() {
	p.t.Helper()
	p.at, p.name = p.NS, "net0"
	p.childless()
	p.configure()
}

// childless notes that the children went with their parent.
func (p *party) childless() {
	p.children = nil
	clear(p.marks)
}

// ipAt runs the ip command where the interface is.
func (p *party) ipAt(args ...string) { p.t.Helper(); p.at.MustRun("ip", args...) }

// configure gives the interface its address and brings it up.
func (p *party) configure() {
	p.t.Helper()
	p.ipAt("addr", "replace", p.local+"/24", "dev", p.name)
	p.ipAt("link", "set", p.name, "up")
}

// fresh returns a name that was never used.
func (p *party) fresh(prefix string) string {
	p.serial++
	return fmt.Sprint(prefix, p.serial)
}

// known waits until the daemon calls its interface what it is called.
func (p *party) known() {
	p.t.Helper()
	testnet.Eventually(p.t, "the daemon knows "+p.name, func() bool {
		all := p.showAll()
		return len(all) > 0 && all[0].Name == p.name && all[0].NetNS == p.at.ID()
	})
}

// someChild returns one of the children, "" where there is none.
func (p *party) someChild() string {
	if len(p.children) == 0 {
		return ""
	}
	return p.children[p.r.IntN(len(p.children))]
}

// forget notes that a child is gone.
func (p *party) forget(child string) {
	p.children = slices.DeleteFunc(p.children, func(c string) bool { return c == child })
	for mark, holder := range p.marks {
		if holder == child {
			delete(p.marks, mark)
		}
	}
}

func (p *party) someChannel() string {
	return filepath.Join(p.channels, []string{"ab", "ba"}[p.r.IntN(2)])
}

func (p *party) create(path string) {
	p.t.Helper()
	if err := region.Create(p.channels, filepath.Base(path), 1<<20, region.DefaultMode); err != nil {
		p.t.Fatal(err)
	}
}

// fill writes a file until its file system is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	chunk := make([]byte, 64<<10)
	for err == nil {
		_, err = f.Write(chunk)
	}
}

// saved waits until the state file tells where the interface is, and with which
// children.
func (p *party) saved() {
	p.t.Helper()
	testnet.Eventually(p.t, "the state is saved", func() bool {
		state, err := os.ReadFile(p.control + ".state")
		if err != nil || strings.Count(string(state), "child=") != len(p.children) {
			return false
		}
		return strings.Contains(string(state), fmt.Sprint(p.at.ID()))
	})
}

// heal makes sure that packets can flow again.
func (p *party) heal() {
	p.t.Helper()
	p.configure()
	for _, child := range p.children {
		for _, ns := range p.namespaces {
			_ = ns.Command("ip", "link", "set", child, "up").Run() // it is in one of them
		}
	}
}

// descriptors counts what the daemon holds open.
func (p *party) descriptors() int {
	p.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.daemon.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(entries)
}

// TestRandomSequence lets events of all kinds come in any order beside traffic
// whose every byte is checked. MUENNET_E2E_SEED repeats a sequence as far as
// timing allows, MUENNET_E2E_EVENTS makes it longer.
func TestRandomSequence(t *testing.T) {
	begin(t)
	seed := number(t, "MUENNET_E2E_SEED", int(time.Now().UnixNano()&0x7fffffff))
	count := number(t, "MUENNET_E2E_EVENTS", 300)
	t.Logf("MUENNET_E2E_SEED=%d", seed)
	r := rand.New(rand.NewPCG(uint64(seed), 0))

	// A file system of its own, to be filled.
	dir := filepath.Join(t.TempDir(), "channels")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("muennet-test", dir, "tmpfs", 0, "size=32m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"ab", "ba", "spare"} {
		if err := region.Create(dir, name, 1<<20, region.DefaultMode); err != nil {
			t.Fatal(err)
		}
	}
	a := newParty(t, r, dir, addrA, addrB, "ba", "ab")
	b := newParty(t, r, dir, addrB, addrA, "ab", "ba")
	parties := []*party{a, b}
	traffic := startCrossfire(t, a, b)
	if !traffic.flows() {
		t.Fatal("no traffic to begin with")
	}

	var weights []int // an index of events for each unit of weight
	for i, e := range events {
		weights = append(weights, slices.Repeat([]int{i}, e.weight)...)
	}
	var recent []string
	for n := range count {
		e, who := events[weights[r.IntN(len(weights))]], r.IntN(2)
		recent = append(recent, fmt.Sprintf("%d: %s at %c", n, e.name, 'a'+who))
		recent = recent[max(0, len(recent)-20):]
		e.happen(parties[who])
		if n%5 == 4 {
			a.heal()
			b.heal()
			if !traffic.flows() {
				t.Fatalf("no traffic after\n%s\na: %+v\nb: %+v", strings.Join(recent, "\n"), describe(a), describe(b))
			}
		}
		if t.Failed() {
			t.Fatalf("wrong traffic after\n%s", strings.Join(recent, "\n"))
		}
	}

	// What has come and gone must have left nothing in the processes that live.
	for _, p := range parties {
		used := p.descriptors()
		for _, child := range slices.Clone(p.children) {
			p.must("cfg", "del_child", child)
			p.forget(child)
		}
		p.known()
		p.must("unload", p.name)
		p.load(p.params...)
		p.begun()
		now := 0
		testnet.Eventually(t, "descriptors are given back", func() bool { now = p.descriptors(); return now <= used })
		p.kill()
		p.begin()
		p.known()
		testnet.Eventually(t, "as few descriptors as in a new process", func() bool { return now <= p.descriptors() })
	}
	if !traffic.flows() {
		t.Fatal("no traffic in the end")
	}
	traffic.end()
	for _, p := range parties {
		if log := p.log.String(); strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") || strings.Contains(log, "fatal error") {
			t.Errorf("log of a daemon:\n%s", log)
		}
	}
	t.Logf("datagrams %d and %d, records %d and %d", traffic.datagrams[0].Load(), traffic.datagrams[1].Load(), traffic.records[0].Load(), traffic.records[1].Load())
}

// describe is the state of a party's interface, for the log of a failure.
func describe(p *party) (lines []string) {
	for _, s := range p.showAll() {
		lines = append(lines, fmt.Sprintf("%s up %v, writer %+v, reader %+v, stats %+v, drops %v", s.Name, s.Up, s.Writer, s.Reader, s.Stats, s.Drops))
	}
	return append(lines, fmt.Sprint(interfacesOf(p.at)))
}

// interfacesOf lists the interfaces of a namespace.
func interfacesOf(ns *testnet.NS) (names []string) {
	states, err := ns.Link().List()
	if err != nil {
		return []string{err.Error()}
	}
	for _, s := range states {
		names = append(names, s.Name)
	}
	return names
}
