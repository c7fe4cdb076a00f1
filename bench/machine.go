package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/bench/report"
	"github.com/muennet/muennet/bench/traffic"
)

// machine describes this machine, and how busy it is before anything is
// measured.
func machine(muennet string) (m report.Machine, err error) {
	m = report.Machine{Time: time.Now().UTC().Truncate(time.Second), CPU: runtime.GOARCH, CPUs: runtime.NumCPU()}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return m, fmt.Errorf("ask for the kernel's version: %w", err)
	}
	m.Kernel = unix.ByteSliceToString(name.Release[:])
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return m, fmt.Errorf("ask for memory: %w", err)
	}
	m.Memory = uint64(info.Totalram) * uint64(info.Unit)
	cpuinfo, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(cpuinfo)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	out, err := exec.Command(muennet, "version").Output()
	if err != nil {
		return m, fmt.Errorf("%s version: %w", muennet, err)
	}
	first, _, _ := bytes.Cut(out, []byte("\n"))
	m.Version = strings.TrimPrefix(string(first), "muennet ")
	const look = 500 * time.Millisecond
	before, err := idle()
	if err != nil {
		return m, err
	}
	start := traffic.Now()
	time.Sleep(look)
	after, err := idle()
	if err != nil {
		return m, err
	}
	m.Background = busy(after-before, time.Duration(traffic.Now()-start)).Seconds() / look.Seconds()
	return m, nil
}

// idle is how long all processors together have done nothing since the machine
// was started, waited for disks or were not given by a hypervisor.
func idle() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	// cpu user nice system idle iowait irq softirq steal ..., see proc_stat(5).
	f := strings.Fields(string(line))
	if len(f) < 9 {
		return 0, errors.New("/proc/stat has too few columns")
	}
	var ticks uint64
	for _, i := range []int{4, 5, 8} {
		n, err := strconv.ParseUint(f[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read /proc/stat: %w", err)
		}
		ticks += n
	}
	const hz = 100 // USER_HZ, on every architecture Go runs on
	return time.Duration(ticks) * time.Second / hz, nil
}

// busy is the processor time that was used in a time of which so much was idle.
func busy(idle, took time.Duration) time.Duration {
	return max(time.Duration(runtime.NumCPU())*took-idle, 0)
}
