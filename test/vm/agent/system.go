package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/internal/netlab"
	"golang.org/x/sys/unix"
)

// interfaces lists the interfaces, a line each: name, flags, addresses.
func interfaces(Task) (r Result, err error) {
	all, err := net.Interfaces()
	if err != nil {
		return r, err
	}
	for _, i := range all {
		line := i.Name + " " + i.Flags.String()
		addrs, err := i.Addrs()
		if err != nil {
			return r, err
		}
		for _, a := range addrs {
			line += " " + a.String()
		}
		r.Text = append(r.Text, line)
	}
	return r, nil
}

// cpu measures over Time how long the threads of a process ran, and how often
// they began to: of the one with the number Count, or of the first one.
func cpu(t Task) (r Result, err error) {
	pid := orDefault(t.Count, 1)
	before, err := ran(pid)
	if err != nil {
		return r, err
	}
	start := time.Now()
	time.Sleep(orDefault(t.Time, time.Second))
	r.Took = time.Since(start)
	after, err := ran(pid)
	if err != nil {
		return r, err
	}
	r.Percent = 100 * float64(after.ran-before.ran) / float64(r.Took)
	r.Count = int(after.times - before.times)
	return r, nil
}

// doze sleeps for Time, a millisecond at a time, and measures how long its
// thread ran: what nothing that polls once per millisecond can fall below.
func doze(t Task) (r Result, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	file := fmt.Sprintf("/proc/self/task/%d/schedstat", unix.Gettid())
	before, err := ranOne(file)
	if err != nil {
		return r, err
	}
	start := time.Now()
	millisecond := unix.Timespec{Nsec: 1e6}
	for time.Since(start) < orDefault(t.Time, time.Second) {
		// Not a word to Go's scheduler, which would do work of its own.
		unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&millisecond)), 0, 0)
	}
	r.Took = time.Since(start)
	after, err := ranOne(file)
	r.Percent = 100 * float64(after.ran-before.ran) / float64(r.Took)
	r.Count = int(after.times - before.times)
	return r, err
}

// schedule is what the kernel has counted of a thread.
type schedule struct {
	ran   time.Duration
	times int64 // that it was given a processor
}

// ran adds up the threads of a process.
func ran(pid int) (all schedule, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return all, err
	}
	for _, file := range files {
		one, err := ranOne(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // the thread has ended
		}
		if err != nil {
			return all, err
		}
		all.ran += one.ran
		all.times += one.times
	}
	if len(files) == 0 {
		return all, fmt.Errorf("process %d has no threads in /proc", pid)
	}
	return all, nil
}

// ranOne reads the schedstat file of a thread: how long it ran in ns, how long
// it waited to, how often it did.
func ranOne(file string) (s schedule, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	var waited int64
	if _, err := fmt.Sscan(string(text), (*int64)(&s.ran), &waited, &s.times); err != nil {
		return s, fmt.Errorf("read %s: %w", file, err)
	}
	return s, nil
}

// signal sends the signal with number Count to the first process.
func signal(t Task) (r Result, err error) { return r, unix.Kill(1, unix.Signal(t.Count)) }

// peers are in a network namespace of their own.
var peers struct {
	sync.Mutex
	ns   *netlab.Namespace // nil until the first one is made
	nets []*muennet.Net    // open until the process ends
}

// peer makes interfaces with Parameters and Addresses in the namespace of the
// peers: the other ends of channels, in the same machine.
func peer(t Task) (r Result, err error) {
	peers.Lock()
	defer peers.Unlock()
	if peers.ns == nil {
		if peers.ns, err = netlab.New(); err != nil {
			return r, err
		}
	}
	load, err := muennet.ParseLoad(t.Parameters...)
	if err != nil {
		return r, err
	}
	load.Channels = t.Channels
	n, err := Open(peers.ns, load, t.Addresses)
	if err != nil {
		return r, err
	}
	peers.nets = append(peers.nets, n)
	return r, nil
}

// Open makes interfaces in a namespace and brings them up, with addresses
// NAME=ADDRESS/BITS. The caller closes the Net.
func Open(ns *netlab.Namespace, load muennet.Load, addresses []string) (n *muennet.Net, err error) {
	prefixes := make(map[string][]netip.Prefix)
	for _, a := range addresses {
		name, text, _ := strings.Cut(a, "=")
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		prefixes[name] = append(prefixes[name], prefix)
	}
	err = ns.In(func() (err error) {
		n, err = muennet.Open(muennet.Config{Load: load})
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, i := range load.Interfaces {
		if err := ns.Up(i.Name, prefixes[i.Name]...); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	return n, nil
}

// inside does a task in the namespace of the peers.
func inside(t Task, f func(Task) (Result, error)) (r Result, err error) {
	peers.Lock()
	ns := peers.ns
	peers.Unlock()
	if ns == nil {
		return r, fmt.Errorf("%s: there are no peers", t.Do)
	}
	err = ns.In(func() (err error) {
		r, err = f(t)
		return err
	})
	if err != nil {
		return r, fmt.Errorf("%s: %w", t.Do, err)
	}
	return r, nil
}
