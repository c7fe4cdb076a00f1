package e2e

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/testnet"
)

// statusField sums up a field of /proc/PID/status over all threads.
func statusField(t *testing.T, pid int, pattern, field string) (sum int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf(pattern, pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("no status of process %d: %v", pid, err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			continue // the thread has ended
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if rest, ok := strings.CutPrefix(lines.Text(), field+":"); ok {
				n, err := strconv.Atoi(strings.Fields(rest)[0])
				if err != nil {
					t.Fatal(err)
				}
				sum += n
			}
		}
		f.Close()
	}
	return sum
}

// Two muennets that have nothing to tell each other sleep: nothing wakes them
// periodically.
func TestIdleHasNoWakeups(t *testing.T) {
	begin(t)
	p := newPair(t, "net_hdr")
	p.upQuiet()
	hosts := []*host{p.a, p.b}
	for _, h := range hosts {
		if bell := h.show("net0").Reader.Doorbell; bell != "futex" {
			t.Errorf("the doorbell is %q", bell)
		}
	}
	// A polling reader would wake up a thousand times a second, a ticker of
	// 100 ms fifty times in this window. The runtime's own threads settle after
	// a while.
	const window, most, tries = 5 * time.Second, 25, 12
	for try := 1; ; try++ {
		var before, after [2]int
		for i, h := range hosts {
			before[i] = statusField(t, h.daemon.Process.Pid, "/proc/%d/task/*/status", "voluntary_ctxt_switches")
		}
		time.Sleep(window)
		quiet := true
		for i, h := range hosts {
			after[i] = statusField(t, h.daemon.Process.Pid, "/proc/%d/task/*/status", "voluntary_ctxt_switches")
			quiet = quiet && after[i]-before[i] <= most
		}
		if quiet {
			break
		}
		t.Logf("window %d: %d and %d context switches", try, after[0]-before[0], after[1]-before[1])
		if try == tries {
			t.Fatalf("more than %d context switches in each of %d windows of %v", most, tries, window)
		}
	}
	// And they are awake at once when there is something.
	p.a.Up("net0", addrA+"/24")
	p.b.Up("net0", addrB+"/24")
	newPinger(t, p.a, addrA, addrB).sweep(0, 100)
}

func TestOneInterfaceIsSmall(t *testing.T) {
	begin(t)
	if os.Getenv("MUENNET_E2E_RACE") == "1" {
		t.Skip("the race detector's memory is not the program's")
	}
	p := newPair(t, "net_hdr")
	p.up()
	newPinger(t, p.a, addrA, addrB).sweep(0, 200)
	client, server := connect(t, p.a, p.b, addrB)
	if _, err := stream(client, server, func(sent int) bool { return sent < 1000 }); err != nil {
		t.Fatal(err)
	}
	for _, h := range []*host{p.a, p.b} {
		if kib := statusField(t, h.daemon.Process.Pid, "/proc/%d/status", "VmRSS"); kib >= 30<<10 {
			t.Errorf("%d KiB resident, want less than 30 MiB", kib)
		} else {
			t.Logf("%d KiB resident", kib)
		}
	}
}

// On one virtual CPU no goroutine may keep it from the others.
func TestOneProcessor(t *testing.T) {
	begin(t)
	dir := makeChannels(t, "ab", "ba")
	p := &pair{newHost(t, dir), newHost(t, dir)}
	p.a.env, p.b.env = []string{"GOMAXPROCS=1"}, []string{"GOMAXPROCS=1"}
	p.a.start("name=net0", "in=ba", "out=ab", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12")
	p.b.start("name=net0", "in=ab", "out=ba", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12", "busy_poll=50")
	p.up()
	newPinger(t, p.a, addrA, addrB).sweep(0, 300)
	newPinger(t, p.b, addrB6, addrA6).sweep(0, 300)
	type end struct {
		n   int
		err error
	}
	const records = 500
	ends := make(chan end)
	run := func(from, to *host, addr string) {
		client, server := connect(t, from, to, addr)
		go func() {
			n, err := stream(client, server, func(sent int) bool { return sent < records })
			ends <- end{n, err}
		}()
	}
	run(p.a, p.b, addrB) // both ways at the same time
	run(p.b, p.a, addrA6)
	for range 2 {
		p.a.show("net0") // is answered at this time, too
		if e := <-ends; e.err != nil || e.n != records {
			t.Errorf("%d of %d records: %v", e.n, records, e.err)
		}
	}
}

// Load and unload give back all they took.
func TestNoDescriptorsLeak(t *testing.T) {
	begin(t)
	h := newHost(t, makeChannels(t, "a", "b", "c", "d", "keep"))
	h.start("name=keep0", "in=keep", "reader_protocol=1")
	pid := h.daemon.Process.Pid
	count := func() int {
		t.Helper()
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	cycle := func(i int) {
		t.Helper()
		h.load("name=net0,net1", "in=a,c", "out=b,d", "flags=net_hdr,eth_dev", "reader_protocol=1,1", "writer_protocol=1,1")
		h.ip("link set net0 up")
		h.awaitShow("net0", "it is up", func(s api.Interface) bool { return s.Up })
		if r := h.muennet("load", "name=net2", "in=none", "reader_protocol=1"); r.code != 1 {
			t.Fatalf("a missing channel: %+v", r)
		}
		switch i % 3 {
		case 0:
			h.must("unload", "net0", "net1")
		case 1:
			h.must("unload", "net0")
			h.must("unload", "net1")
		default:
			h.ip("link del net0")
			h.must("unload", "net1")
			testnet.Eventually(t, "net0 is not shown", func() bool { return len(h.showAll()) == 1 })
		}
	}
	cycle(0) // what the runtime opens once
	before := count()
	for i := range 50 {
		cycle(i)
	}
	testnet.Eventually(t, fmt.Sprintf("%d descriptors again", before), func() bool { return count() <= before })
	if all := h.showAll(); len(all) != 1 || all[0].Name != "keep0" {
		t.Errorf("show %+v", all)
	}
}
