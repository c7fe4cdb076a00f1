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

// What a background process says to its starter: one line, which begins with
// one of these words.
const (
	wordReady = "ready"
	wordBusy  = "busy"  // another process serves the socket; the reason follows
	wordError = "error" // the reason follows
)

// errBusy says that the process just started has found another one serving
// the socket.
var errBusy = errors.New("already running")

// child is closed when a process that we have started has ended.
type child chan struct{}

// await waits until the process, which is ending, has ended.
func (p child) await() {
	select {
	case <-p:
	case <-time.After(undoTime):
	}
}

// startDaemon starts this program as a daemon without interfaces and returns
// once it answers. What keeps it from starting is the error.
func (a *app) startDaemon(ctx context.Context, start startConfig) (p child, err error) {
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
	// A lock or a pipe of the caller's must not live as long as the daemon.
	closeOnExec(firstOwnFD)
	err = cmd.Start()
	w.Close()
	if err != nil {
		return p, fmt.Errorf("start muennet: %w", err)
	}
	p = make(child)
	go func() { // it outlives us, or is ours to reap
		cmd.Wait()
		close(p)
	}()
	// On an error it is ending: an error leaves no process behind.
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
		// It may be on its way up still; nobody wants it any more.
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
	return p, errors.New("start muennet: it ended before it was ready; the system log may tell why")
}

// firstOwnFD is the first descriptor after stdin, stdout and stderr.
const firstOwnFD = 3

// closeOnExec has exec(2) close the descriptors from first on, whoever opened
// them. A program that is started gets those it is given all the same.
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

// setProcessName names the process for ps(1) and pgrep(1), which a program
// started from /proc/self/exe is called after: "exe". The path of the program
// would not do: it may have been replaced, or hold many commands in one file.
func setProcessName(name string) {
	// A thread has the name of the one that started it, so the threads there are
	// get it, until no other one is left. The process has that of its first. One
	// that was being started appears a moment later, hence the second look.
	for clean := 0; clean < 2; clean++ {
		threads, _ := filepath.Glob("/proc/self/task/*/comm")
		for _, comm := range threads {
			if b, err := os.ReadFile(comm); err != nil || strings.TrimSpace(string(b)) == name {
				continue // it has ended, or has it
			}
			if os.WriteFile(comm, []byte(name), 0) == nil {
				clean = -1
			}
		}
		time.Sleep(namePause)
	}
}

// daemonEnv is the environment of a background process: ours, without what
// ties it to our own service manager.
func daemonEnv(environ []string) []string {
	var env []string
	for _, kv := range environ {
		if !strings.HasPrefix(kv, "NOTIFY_SOCKET=") {
			env = append(env, kv)
		}
	}
	return env
}
