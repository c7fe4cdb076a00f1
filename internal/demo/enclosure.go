package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultTime is how long one measurement of throughput lasts.
const DefaultTime = 2 * time.Second

// patience is how long the enclosed process may take to end when told to.
const patience = 20 * time.Second

// Config says how to run. The zero value is usable.
type Config struct {
	// Time is how long one measurement of throughput lasts; 0 means
	// DefaultTime.
	Time time.Duration
	// Out receives a line for each thing shown; nil means none does.
	Out io.Writer
}

func (c Config) withDefaults() Config {
	if c.Time <= 0 {
		c.Time = DefaultTime
	}
	if c.Out == nil {
		c.Out = io.Discard
	}
	return c
}

// Run starts this program again, with the arguments args and an empty
// directory as the last one, in namespaces of its own; there it is to call
// Inside. Run returns when nothing of it is left. What went wrong inside is
// the error, and so is the end of ctx.
//
// It needs root or, for everybody, user namespaces, and /dev/net/tun; an error
// says which of them is missing.
func Run(ctx context.Context, cfg Config, args ...string) (err error) {
	cfg = cfg.withDefaults()
	if err := checkTun(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "muennet-demo-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	args = append(args, dir)

	// The death signal is sent when the thread ends that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var complaint bytes.Buffer
	cmd := enclosed(ctx, cfg.Out, &complaint, args, os.Geteuid() != 0)
	err = cmd.Start()
	if errors.Is(err, unix.EPERM) && os.Geteuid() == 0 {
		// Root of a container, without CAP_SYS_ADMIN.
		cmd = enclosed(ctx, cfg.Out, &complaint, args, true)
		err = cmd.Start()
	}
	if err != nil {
		return explain(fmt.Errorf("make namespaces: %w", err))
	}
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case err == nil:
		return nil
	}
	if reason := strings.TrimSpace(complaint.String()); reason != "" {
		return errors.New(strings.TrimPrefix(reason, "muennet: "))
	}
	return err
}

// enclosed is this program, about to be the first process of its own process,
// mount and network namespace and, if asked for, root of its own user
// namespace.
func enclosed(ctx context.Context, out, complaint io.Writer, args []string, userNS bool) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Args[0] = "muennet"
	cmd.Stdout, cmd.Stderr = out, complaint
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = patience
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// A network namespace too: a thread that visits a host's must be
		// allowed to come back.
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET,
		Pdeathsig:  unix.SIGKILL,
		Setpgid:    true, // Ctrl-C reaches Run alone, which passes it on
	}
	if userNS {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return cmd
}

// checkTun looks whether this user can make TUN devices where the rest allows
// it. Opening the file makes none yet.
func checkTun() error {
	const path = "/dev/net/tun"
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	switch {
	case err == nil:
		return unix.Close(fd)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%s is missing: modprobe tun, or start the container with --device %s", path, path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may not be opened by this user: run as root, or chmod 0666 %s", path, path)
	}
	return fmt.Errorf("open %s: %w", path, err)
}

// explain adds to a refusal what the kernel's settings say about it.
func explain(err error) error {
	hint := "needs root (in a container: with CAP_SYS_ADMIN) or user namespaces for everybody"
	for _, s := range []struct{ path, bad string }{
		{"/proc/sys/user/max_user_namespaces", "0"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"},
	} {
		if value, rerr := os.ReadFile(s.path); rerr == nil && strings.TrimSpace(string(value)) == s.bad {
			key := strings.ReplaceAll(strings.TrimPrefix(s.path, "/proc/sys/"), "/", ".")
			hint += fmt.Sprintf("; the sysctl %s=%s forbids them", key, s.bad)
		}
	}
	return fmt.Errorf("%w: %s", err, hint)
}
