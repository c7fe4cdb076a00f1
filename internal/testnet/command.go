package testnet

import (
	"bytes"
	"os/exec"
	"strings"
	"sync"

	"github.com/muennet/muennet/internal/link"
)

// Cmd is a command that runs in a namespace. The fields of exec.Cmd may be set
// before it is started, but of its methods only those defined here start it in
// the namespace. When the test ends, a command that still runs is killed.
type Cmd struct {
	*exec.Cmd
	ns   *NS
	wait sync.Once
	err  error
}

// Command returns a command to run in the namespace. It sees that namespace's
// interfaces and sysctls, but the rest of the machine as it is, including
// /sys/class/net.
func (n *NS) Command(name string, args ...string) *Cmd {
	return &Cmd{Cmd: exec.Command(name, args...), ns: n}
}

// Start starts the command, as exec.Cmd does.
func (c *Cmd) Start() error {
	// A child gets the namespaces of the thread that forks it.
	if err := link.InNetNS(c.ns.fd, c.Cmd.Start); err != nil {
		return err
	}
	c.ns.t.Cleanup(func() {
		_ = c.Process.Kill() // harmless if it has been waited for
		_ = c.Wait()
	})
	return nil
}

// Wait waits for the command to end, as exec.Cmd does, but may be called more
// than once and from several goroutines; all get the same answer.
func (c *Cmd) Wait() error {
	c.wait.Do(func() { c.err = c.Cmd.Wait() })
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

// MustRun runs a command in the namespace and returns what it wrote. It fails
// the test if the tool is missing or the command fails.
func (n *NS) MustRun(name string, args ...string) string {
	n.t.Helper()
	out, err := n.Command(Need(n.t, name), args...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
