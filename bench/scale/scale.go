package scale

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/bench/report"
	"github.com/muennet/muennet/bench/testbed"
	"github.com/muennet/muennet/bench/traffic"
)

// Peers says what the interfaces are joined with.
type Peers string

// The peers.
const (
	Futex  Peers = "futex"  // another muennet, which rings
	Polled Peers = "polled" // writers that never ring
)

// settle is how long the process is left alone before it is watched: sleeps
// grow, and what its start left behind is collected.
const settle = 3 * time.Second

// Config is what Measure needs.
type Config struct {
	Muennet string        // path of the program
	Dir     string        // an empty directory for channels and sockets, in memory
	Window  time.Duration // how long to watch
}

// Measure starts a muennet with n interfaces and watches it.
func Measure(ctx context.Context, cfg Config, n int, peers Peers) (s report.Scale, err error) {
	crowd, err := testbed.OpenCrowd(ctx, testbed.Config{Muennet: cfg.Muennet, Dir: cfg.Dir}, n, peers == Futex)
	if err != nil {
		return s, err
	}
	defer crowd.Close()
	s = report.Scale{Interfaces: n, Peers: string(peers), Ready: crowd.Ready.Seconds()}
	if err := sleep(ctx, settle); err != nil {
		return s, err
	}
	before, err := look(crowd.PID)
	if err != nil {
		return s, err
	}
	if err := sleep(ctx, cfg.Window); err != nil {
		return s, err
	}
	after, err := look(crowd.PID)
	if err != nil {
		return s, err
	}
	took := time.Duration(after.at - before.at).Seconds()
	s.Window = took
	s.Wakeups = float64(after.switches-before.switches) / took
	s.CPU = 100 * (after.processor - before.processor).Seconds() / took
	s.Memory = float64(after.resident) / (1 << 20)
	s.Own = float64(after.resident-after.shared) / (1 << 20)
	s.Threads = after.threads
	// Last: the answer takes work.
	s.Ringing, err = crowd.Ringing(ctx)
	return s, err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// process is what a process has used until a moment.
type process struct {
	at        int64         // CLOCK_MONOTONIC
	switches  uint64        // voluntary context switches: how often a thread went to sleep
	processor time.Duration // user and system
	resident  uint64        // VmRSS in bytes
	shared    uint64        // RssShmem in bytes: the channels
	threads   int
}

func look(pid int) (p process, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return p, err
	}
	p.threads = len(tasks)
	if p.threads == 0 {
		return p, fmt.Errorf("process %d has ended", pid)
	}
	for _, path := range tasks {
		status, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended; its switches are lost, which are few
		}
		p.switches += field(string(status), "voluntary_ctxt_switches")
		p.resident = field(string(status), "VmRSS") << 10 // KiB, the same in all
		p.shared = field(string(status), "RssShmem") << 10
	}
	// The processor time clock of another process, see clock_getcpuclockid(3):
	// its inverted number, and 2 for what the scheduler counts.
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return p, fmt.Errorf("read processor time of process %d: %w", pid, err)
	}
	p.processor = time.Duration(t.Nano())
	p.at = traffic.Now()
	return p, nil
}

// field is a number of /proc/PID/status, 0 if it is not there.
func field(status, name string) uint64 {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.ParseUint(strings.Fields(value)[0], 10, 64) // the kernel writes numbers
			return n
		}
	}
	return 0
}
