package confine

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Spec is what a program does without. The zero value is nothing.
type Spec struct {
	Refuse []Refusal
	Proc   Proc
	Rights *Rights // nil: those of the test
}

// Proc is what a program sees of /proc.
type Proc int

const (
	ProcFull       Proc = iota
	ProcNoNetNS         // no network namespace can be opened there
	ProcNotMounted      // /proc is an empty directory
)

// NoNetNS is a kernel that was built without CONFIG_NET_NS.
func NoNetNS() Spec {
	return Spec{Proc: ProcNoNetNS, Refuse: []Refusal{
		{Call: unix.SYS_IOCTL, Errno: unix.EINVAL, If: &Argument{1, unix.TUNGETDEVNETNS}},
		{Call: unix.SYS_IOCTL, Errno: unix.EINVAL, If: &Argument{1, unix.SIOCGSKNS}},
		{Call: unix.SYS_SETNS, Errno: unix.EINVAL},
		{Call: unix.SYS_UNSHARE, Errno: unix.EINVAL},
	}}
}

// environment holds the order for the process that confines itself.
const environment = "MUENNET_TEST_CONFINE"

// order is what that process is to do.
type order struct {
	Spec
	Path string // of the program
}

// Apply has cmd, which has not been started, run its program confined.
func (s Spec) Apply(cmd *exec.Cmd) {
	text, err := json.Marshal(order{s, cmd.Path})
	if err != nil {
		panic(err) // no field can fail
	}
	cmd.Env = append(cmd.Environ(), environment+"="+string(text))
	cmd.Path, cmd.Err = "/proc/self/exe", nil
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	if s.Proc != ProcFull || s.Rights != nil {
		cmd.SysProcAttr.Unshareflags |= unix.CLONE_NEWNS
	}
}

// init is where the started process ceases to be the test's binary.
func init() {
	text, ok := os.LookupEnv(environment)
	if !ok {
		return
	}
	var o order
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		err = o.run()
	}
	fmt.Fprintln(os.Stderr, "confine:", err)
	os.Exit(127)
}

// run returns only if it fails. Filters and capabilities are those of the
// thread, which executes the program.
func (o order) run() error {
	runtime.LockOSThread()
	if err := o.Proc.arrange(); err != nil {
		return err
	}
	if o.Rights != nil {
		if err := openTUN(); err != nil {
			return fmt.Errorf("make /dev/net/tun: %w", err)
		}
	}
	if err := refuse(o.Refuse); err != nil {
		return err
	}
	if o.Rights != nil {
		if err := o.Rights.take(); err != nil {
			return err
		}
	}
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, environment+"=") })
	return &os.PathError{Op: "execute", Path: o.Path, Err: unix.Exec(o.Path, os.Args, env)}
}
