package netlab

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Cmd is a command that runs in a namespace. The fields of exec.Cmd may be set
// before it is started, but of its methods only those defined here start it in
// the namespace. Namespace.Close kills a command that still runs.
type Cmd struct {
	*exec.Cmd
	ns *Namespace

	wait sync.Once
	err  error // of exec.Cmd.Wait

	watch sync.Once
	ended chan struct{} // made by watch, closed after wait
}

// Command returns a command to run in the namespace. It sees that namespace's
// interfaces and sysctls, but the rest of the machine as it is, including
// /sys/class/net.
func (n *Namespace) Command(name string, args ...string) *Cmd {
	return &Cmd{Cmd: exec.Command(name, args...), ns: n}
}

// Start starts the command, as exec.Cmd does.
func (c *Cmd) Start() error {
	// A child gets the namespaces of the thread that forks it.
	if err := c.ns.In(c.Cmd.Start); err != nil {
		return err
	}
	c.ns.mu.Lock()
	defer c.ns.mu.Unlock()
	c.ns.running[c] = true
	return nil
}

// Wait waits for the command to end, as exec.Cmd does, but may be called more
// than once and from several goroutines; all get the same answer.
func (c *Cmd) Wait() error {
	c.wait.Do(func() {
		c.err = c.Cmd.Wait()
		c.ns.mu.Lock()
		defer c.ns.mu.Unlock()
		delete(c.ns.running, c)
	})
	return c.err
}

// Run starts the command and waits for it to end.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the command and returns what it wrote to standard output.
func (c *Cmd) Output() ([]byte, error) {
	var out bytes.Buffer
	c.Stdout = &out
	err := c.Run()
	return out.Bytes(), err
}

// CombinedOutput runs the command and returns what it wrote to standard output
// and standard error.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}

// Ended returns a channel that is closed when the started command has ended. It
// calls Wait on another goroutine, so it is not for a command whose output is
// read through a pipe.
func (c *Cmd) Ended() <-chan struct{} {
	c.watch.Do(func() {
		c.ended = make(chan struct{})
		go func() {
			_ = c.Wait() // each call of Wait returns the error
			close(c.ended)
		}()
	})
	return c.ended
}

// StartReady starts the command and returns when it says that it is ready, as
// sd_notify(3) describes: at a socket, whose file it makes and removes again.
// An error says that the command has ended before, or is the cause of ctx. Like
// Ended it is not for a command whose output is read through a pipe.
func (c *Cmd) StartReady(ctx context.Context, socket string) error {
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket})
	if err != nil {
		return err
	}
	defer os.Remove(socket)
	defer notify.Close()
	// The command may be another user's.
	if err := os.Chmod(socket, 0o666); err != nil {
		return err
	}
	c.Env = append(c.Environ(), "NOTIFY_SOCKET="+socket)
	if err := c.Start(); err != nil {
		return err
	}
	go func() {
		<-c.Ended()
		notify.Close()
	}()
	defer context.AfterFunc(ctx, func() { notify.Close() })()
	buf := make([]byte, 4096)
	for {
		n, err := notify.Read(buf)
		switch {
		case err == nil && strings.Contains(string(buf[:n]), "READY=1"):
			return nil
		case err == nil:
			continue
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		default: // the command has ended, or else the socket would be open
			<-c.Ended()
			err = fmt.Errorf("it ended: %v", c.ProcessState)
		}
		return fmt.Errorf("wait until %s is ready: %w", filepath.Base(c.Path), err)
	}
}

// Stop ends the command with SIGTERM and returns what Wait does. If it has not
// ended within limit, Stop kills it, which is an error. Like Ended it is not
// for a command whose output is read through a pipe.
func (c *Cmd) Stop(limit time.Duration) error {
	_ = c.Process.Signal(unix.SIGTERM) // harmless if it has ended
	select {
	case <-c.Ended():
		return c.Wait()
	case <-time.After(limit):
		_ = c.Process.Kill()
		<-c.Ended()
		return fmt.Errorf("%s did not end within %v after SIGTERM", filepath.Base(c.Path), limit)
	}
}
