package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/muennet/muennet/internal/netlab"
)

// command runs Command to its end. Text is what it wrote, by lines. That it
// fails is an error with all of that.
func command(t Task) (r Result, err error) {
	c := exec.Command(t.Command[0], t.Command[1:]...)
	// What it leaves running in the background may keep its output open.
	c.WaitDelay = time.Second
	out, err := c.CombinedOutput()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return r, fmt.Errorf("%s: %w: %s", strings.Join(t.Command, " "), err, bytes.TrimSpace(out))
	}
	r.Text = strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	return r, nil
}

// leave is the argument by which exercise ends at once and leaves a process
// behind, which ends after it.
const leave = "leave"

// orphans makes processes whose parent ends before them, and waits until the
// first process has taken them over and collected them when they ended.
func orphans(t Task) (r Result, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	for range orDefault(t.Count, 1) {
		if err := exec.Command(self, leave).Run(); err != nil {
			return r, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return r, netlab.Until(ctx, func() error {
		running, ended, err := namesakes(filepath.Base(self))
		if err == nil && (running != 1 || ended > 0) { // this one runs
			err = fmt.Errorf("%d processes have ended and are not collected, %d run", ended, running)
		}
		return err
	})
}

// namesakes counts the processes of that name that run, and those that have
// ended but have not been waited for.
func namesakes(name string) (running, ended int, err error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, 0, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has been collected
		}
		// pid (name) state ...
		_, rest, _ := strings.Cut(string(text), "(")
		is, rest, _ := strings.Cut(rest, ") ")
		switch {
		case is != name:
		case strings.HasPrefix(rest, "Z"):
			ended++
		default:
			running++
		}
	}
	return running, ended, nil
}

// Orphan does what exercise is called for by task orphans; false if it was not.
func Orphan(args []string) (done bool, err error) {
	switch {
	case len(args) == 1 && args[0] == leave:
		self, err := os.Executable()
		if err != nil {
			return true, err
		}
		return true, exec.Command(self, leave, leave).Start()
	case len(args) == 2 && args[0] == leave:
		time.Sleep(100 * time.Millisecond) // its parent is gone by then
		return true, nil
	}
	return false, nil
}
