package testnet

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// settle is how long goroutines, descriptors and children may take to go away
// after a test. Only a test that fails waits that long.
var settle = 10 * time.Second

// betweenLooks is called when something is left, before another look.
var betweenLooks = func() { time.Sleep(10 * time.Millisecond) }

// CheckLeaks records the goroutines, open descriptors and child processes, and
// fails the test if there are others when it ends. Call it first: cleanups that
// are registered later run before the check.
func CheckLeaks(t testing.TB) {
	t.Helper()
	warmUp(t)
	before := look(t)
	t.Cleanup(func() {
		deadline := time.Now().Add(settle)
		for {
			leaks := before.left(look(t))
			if len(leaks) == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("left behind:\n%s", strings.Join(leaks, "\n"))
				return
			}
			betweenLooks()
		}
	})
}

// warmUp makes the runtime open its poller, which stays open.
func warmUp(t testing.TB) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	w.Close()
}

// resources are those of this process at one moment.
type resources struct {
	goroutines  map[string]string // stack, by number
	descriptors map[string]string // what it is, by number
	children    map[int]string    // command, by process id
}

func look(t testing.TB) resources {
	t.Helper()
	return resources{
		goroutines:  goroutines(),
		descriptors: descriptors(t),
		children:    children(t),
	}
}

// left describes what is in now but not in r.
func (r resources) left(now resources) (leaks []string) {
	for number, what := range now.descriptors {
		if r.descriptors[number] != what {
			leaks = append(leaks, fmt.Sprintf("descriptor %s: %s", number, what))
		}
	}
	for pid, command := range now.children {
		if _, ok := r.children[pid]; !ok {
			leaks = append(leaks, fmt.Sprintf("process %d: %s", pid, command))
		}
	}
	// By number, not by count: one that has ended would hide a new one.
	for number, stack := range now.goroutines {
		if _, ok := r.goroutines[number]; !ok {
			leaks = append(leaks, stack)
		}
	}
	return leaks
}

func goroutines() map[string]string {
	stacks := make([]byte, 64<<10)
	n := runtime.Stack(stacks, true)
	for n == len(stacks) { // cut short
		stacks = make([]byte, 2*len(stacks))
		n = runtime.Stack(stacks, true)
	}
	found := make(map[string]string)
	for _, stack := range strings.Split(string(stacks[:n]), "\n\n") {
		// goroutine 12 [chan receive]: ...
		number, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
		found[number] = stack
	}
	return found
}

func descriptors(t testing.TB) map[string]string {
	t.Helper()
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	open := make(map[string]string)
	for _, e := range entries {
		// The directory itself was open while it was read, but is
		// closed now.
		if what, err := os.Readlink(dir + "/" + e.Name()); err == nil {
			open[e.Name()] = what
		}
	}
	return open
}

// children returns the processes whose parent is this one, zombies included.
func children(t testing.TB) map[int]string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[int]string)
	self := strconv.Itoa(os.Getpid())
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// pid (command) state parent ...; the command may hold
		// anything.
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		end := bytes.LastIndexByte(stat, ')')
		if err != nil || end < 0 {
			continue // it has ended
		}
		if f := strings.Fields(string(stat[end+1:])); len(f) > 1 && f[1] == self {
			found[pid] = string(stat[bytes.IndexByte(stat, '(') : end+1])
		}
	}
	return found
}
