package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// grace is how long processes may take to end before they are killed.
const grace = 2 * time.Second

// signals catches what the first process reacts to. Anything else the kernel
// keeps from it.
func (s *system) signals() <-chan os.Signal {
	// As many places as there are signals of each kind before they are served;
	// several children that end at once count as one.
	c := make(chan os.Signal, 16)
	signal.Notify(c, unix.SIGCHLD, unix.SIGTERM, unix.SIGINT, unix.SIGUSR1, unix.SIGUSR2)
	// Without this, ctrl-alt-del restarts at once.
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF); err != nil {
		s.try(fmt.Errorf("catch ctrl-alt-del: %w", err))
	}
	return c
}

// serve waits for signals until one ends the system, and returns how: a command
// of reboot(2).
func (s *system) serve(signals <-chan os.Signal) (how int) {
	s.reap() // what ended while the system came up
	for {
		switch <-signals {
		case unix.SIGCHLD:
			s.reap()
		case unix.SIGUSR1:
			s.network.printState()
		case unix.SIGTERM, unix.SIGUSR2:
			return unix.LINUX_REBOOT_CMD_POWER_OFF
		case unix.SIGINT:
			return unix.LINUX_REBOOT_CMD_RESTART
		}
	}
}

// start starts a program with the console as its input and output. It is reaped
// like any other process, hence not by package exec, which would wait for it.
func (s *system) start(command []string) (err error) {
	s.launched = strings.Join(command, " ")
	s.program, err = syscall.ForkExec(command[0], command, &syscall.ProcAttr{
		Dir: "/", Env: []string{"PATH=/bin:/sbin"}, Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", s.launched, err)
	}
	s.log.Info("started", "program", s.launched, "pid", s.program)
	return nil
}

// reap collects all processes that have ended, its own and those whose parents
// went before them, and tells whether there are any left.
func (s *system) reap() (left bool) {
	for {
		var status unix.WaitStatus
		switch pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil); {
		case err == unix.EINTR:
		case err != nil: // ECHILD
			return false
		case pid == 0:
			return true
		case pid == s.program:
			s.program = 0
			s.log.Info("program ended", "program", s.launched, "how", outcome(status))
		}
	}
}

// outcome tells how a process ended.
func outcome(status unix.WaitStatus) string {
	if status.Signaled() {
		return status.Signal().String()
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}

// endProcesses ends all processes but this one.
func (s *system) endProcesses() {
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		// An error says that there is none.
		_ = unix.Kill(-1, sig)
		for deadline := time.Now().Add(grace); s.reap(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				break
			}
		}
	}
}
