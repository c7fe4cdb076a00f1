package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A background process sends its starter one line, which begins with one of
// these words.
const (
	wordReady = "ready"
	wordBusy  = "busy"  // another process serves the socket; the reason follows
	wordError = "error" // the reason follows
)

// errBusy says that the process just started found that another one serves the
// socket.
var errBusy = errors.New("already running")

// process is closed when a process that we started has ended.
type process chan struct{}

// await waits for the end of a process that is ending.
func (p process) await() {
	select {
	case <-p:
	case <-time.After(undoTime):
	}
}

// startDaemon starts this program as a daemon without interfaces, and returns
// when it is ready. If it cannot start, the error is its reason.
func (a *app) startDaemon(ctx context.Context, start startConfig) (p process, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return p, fmt.Errorf("start muennet: %w", err)
	}
	defer r.Close()
	args := []string{"muennet", "run", "--background", "--control", a.control, "--channels", a.directory(),
		"--log-format", a.logFormat, "--log-level", a.logLevel}
	if start.group != "" {
		args = append(args, "--control-group", start.group)
	}
	if start.noBPF {
		args = append(args, "--no-bpf")
	}
	cmd := &exec.Cmd{
		Path:        "/proc/self/exe",
		Args:        args,
		Dir:         "/",
		Env:         daemonEnv(os.Environ()),
		ExtraFiles:  []*os.File{w}, // readyFD
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	// The daemon must not keep locks or pipes of our starter open.
	closeOnExec(firstOwnFD)
	err = cmd.Start()
	w.Close()
	if err != nil {
		return p, fmt.Errorf("start muennet: %w", err)
	}
	p = make(process)
	go func() { // it outlives us, or we reap it
		cmd.Wait()
		close(p)
	}()
	// An error leaves no process behind.
	defer func() {
		if err != nil {
			p.await()
		}
	}()

	stop := context.AfterFunc(ctx, func() { r.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	line, err := io.ReadAll(io.LimitReader(r, 64<<10))
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		// It may still be starting, but is no longer wanted.
		cmd.Process.Signal(syscall.SIGTERM)
		return p, fmt.Errorf("start muennet: %w", err)
	}
	word, reason, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
	switch word {
	case wordReady:
		return p, nil
	case wordBusy:
		return p, fmt.Errorf("%w: %s", errBusy, reason)
	case wordError:
		return p, fmt.Errorf("start muennet: %s", reason)
	}
	return p, errors.New("start muennet: it ended before it was ready; see the system log")
}

// firstOwnFD is the first descriptor after stdin, stdout and stderr.
const firstOwnFD = 3

// closeOnExec marks all descriptors from first on as close-on-exec. A program
// that is started still gets those passed to it.
func closeOnExec(first int) {
	if unix.CloseRange(uint(first), math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	closeOnExecEach(first) // before Linux 5.11
}

func closeOnExecEach(first int) {
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, e := range fds {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= first {
			unix.CloseOnExec(fd)
		}
	}
}

// setProcessName sets the name of the process for ps(1) and pgrep(1). That of a
// program started from /proc/self/exe is "exe". The path of the program is not
// used to start it, because its file may have been replaced, or hold many
// commands.
func setProcessName(name string) {
	// A thread inherits the name of the one that started it, so rename the
	// existing ones until none has another name. The process has the name of its
	// first thread. A thread that is just being started appears a moment later,
	// hence the second look.
	for clean := 0; clean < 2; clean++ {
		threads, _ := filepath.Glob("/proc/self/task/*/comm")
		for _, comm := range threads {
			if b, err := os.ReadFile(comm); err != nil || strings.TrimSpace(string(b)) == name {
				continue // it has ended, or has the name
			}
			if os.WriteFile(comm, []byte(name), 0) == nil {
				clean = -1
			}
		}
		time.Sleep(namePause)
	}
}

// daemonEnv returns the environment of a background process: ours, without the
// socket of our service manager.
func daemonEnv(environ []string) []string {
	var env []string
	for _, kv := range environ {
		if !strings.HasPrefix(kv, "NOTIFY_SOCKET=") {
			env = append(env, kv)
		}
	}
	return env
}
