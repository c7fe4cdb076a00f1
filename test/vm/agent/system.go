package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/internal/link"
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

// cpu measures over Time how long the threads of a process ran: of the one with
// the number Count, or of the first one.
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
	r.Percent = 100 * float64(after-before) / float64(r.Took)
	return r, nil
}

// ran returns how long the threads of a process have been running. In
// /proc/PID/task/TID/schedstat that is the first number, in ns.
func ran(pid int) (all time.Duration, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		var one int64
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // a thread that has ended meanwhile
		}
		if err != nil {
			return 0, err
		}
		if _, err := fmt.Sscan(string(text), &one); err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		all += time.Duration(one)
	}
	if len(files) == 0 {
		return 0, fmt.Errorf("process %d has no threads in /proc", pid)
	}
	return all, nil
}

// signal sends the signal with number Count to the first process.
func signal(t Task) (r Result, err error) { return r, unix.Kill(1, unix.Signal(t.Count)) }

// peers is the network namespace of the peers in the same machine.
var peers struct {
	sync.Mutex
	made bool
	fd   int
	nets []*muennet.Net // open until the process ends
}

// peer makes interfaces with Parameters and Addresses in a network namespace of
// their own: the other ends of channels, in the same machine.
func peer(t Task) (r Result, err error) {
	peers.Lock()
	defer peers.Unlock()
	if !peers.made {
		if peers.fd, err = link.NewNetNS(); err != nil {
			return r, err
		}
		peers.made = true
	}
	load, err := muennet.ParseLoad(t.Parameters...)
	if err != nil {
		return r, err
	}
	load.Channels = t.Channels
	return r, link.InNetNS(peers.fd, func() error {
		n, err := muennet.Open(muennet.Config{Load: load})
		if err != nil {
			return err
		}
		peers.nets = append(peers.nets, n)
		return configure(load, t.Addresses)
	})
}

// configure sets the interfaces of a load up, with addresses NAME=ADDRESS/BITS.
func configure(load muennet.Load, addresses []string) error {
	h, err := link.Open(-1)
	if err != nil {
		return err
	}
	defer h.Close()
	for _, a := range addresses {
		name, text, _ := strings.Cut(a, "=")
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return err
		}
		s, err := h.ByName(name)
		if err != nil {
			return err
		}
		if err := h.AddAddress(s.Index, prefix); err != nil {
			return err
		}
	}
	for _, i := range load.Interfaces {
		s, err := h.ByName(i.Name)
		if err != nil {
			return err
		}
		if err := h.SetUp(s.Index); err != nil {
			return err
		}
	}
	return nil
}

// inside does a task in the namespace of the peers.
func inside(t Task, f func(Task) (Result, error)) (r Result, err error) {
	peers.Lock()
	made := peers.made
	peers.Unlock()
	if !made {
		return r, fmt.Errorf("%s: there are no peers", t.Do)
	}
	err = link.InNetNS(peers.fd, func() (err error) {
		r, err = f(t)
		return err
	})
	if err != nil {
		return r, fmt.Errorf("%s: %w", t.Do, err)
	}
	return r, nil
}
