package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// inside marks the process that measures.
const inside = "MUENNET_BENCH_INSIDE"

// enclosed runs the comparison as the first process of its own process
// namespace: when it ends, however that happens, the kernel ends every program
// it has started.
func enclosed(o options) error {
	if os.Getenv(inside) != "" {
		// Programs started here look each other up in /proc.
		if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("make mounts private: %w", err)
		}
		if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			return fmt.Errorf("mount /proc: %w", err)
		}
		if err := os.Unsetenv(inside); err != nil {
			return err
		}
		ctx, stop := untilInterrupted()
		defer stop()
		return run(ctx, o, os.Stderr, os.Stdout)
	}
	if os.Geteuid() != 0 || o.list {
		return run(context.Background(), o, os.Stderr, os.Stdout)
	}
	// The death signal is sent when the thread ends that started the process.
	runtime.LockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	// Ctrl-C reaches both; the one inside decides.
	signal.Ignore(os.Interrupt)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("make namespaces: %w", err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		os.Exit(exit.ExitCode()) // it has said why
	}
	return err
}
