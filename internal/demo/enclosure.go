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

// patience bounds every wait; it is far longer than a slow machine needs.
const patience = 20 * time.Second

// Config says how to run. The zero value is usable.
type Config struct {
	// Time is how long one measurement of throughput lasts; 0 means
	// DefaultTime.
	Time time.Duration
	// Out receives a line or more for each step; nil discards them.
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

// Run starts this program again in namespaces of its own, with the arguments
// args and an empty directory as the last one; there the program has to call
// Inside. Run returns when nothing of it is left, with the error of Inside, or
// with one that says that ctx has ended.
//
// It needs /dev/net/tun, and root or unprivileged user namespaces; an error
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

	// The kernel sends the death signal when the thread that started the
	// process ends.
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

// enclosed returns the command that runs this program as the first process of a
// process namespace, in a mount and a network namespace and, with userNS, as
// root of a user namespace.
func enclosed(ctx context.Context, out, complaint io.Writer, args []string, userNS bool) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Args[0] = "muennet"
	cmd.Stdout, cmd.Stderr = out, complaint
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = patience
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// A network namespace too: with a user namespace, a thread that
		// has entered a host's namespace may not go back to the
		// machine's.
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET,
		Pdeathsig:  unix.SIGKILL,
		Setpgid:    true, // Ctrl-C reaches only Run, which passes it on
	}
	if userNS {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return cmd
}

// checkTun checks whether this user may open /dev/net/tun. Opening it does not
// make a device.
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

// explain adds the kernel settings that are the likely cause of a refusal.
func explain(err error) error {
	hint := "needs root (in a container: with CAP_SYS_ADMIN) or unprivileged user namespaces"
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
