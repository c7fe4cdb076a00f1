package skbmark_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/muennet/muennet/internal/skbmark"
	"github.com/muennet/muennet/internal/testnet"
)

// With loadOnly in the environment, the test binary loads the programs, prints
// the result and exits.
const loadOnly = "SKBMARK_LOAD_ONLY"

func TestMain(m *testing.M) {
	if os.Getenv(loadOnly) == "" {
		os.Exit(m.Run())
	}
	_, err := skbmark.NewOutgoing()
	fmt.Println("outgoing:", errors.Is(err, skbmark.ErrPermission), err)
	_, err = skbmark.NewIncoming()
	fmt.Println("incoming:", errors.Is(err, skbmark.ErrPermission), err)
	fmt.Println("grace:", skbmark.Grace())
}

func TestWithoutPermission(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	root := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 65534, Size: 1}}
	for name, attr := range map[string]*syscall.SysProcAttr{
		"plain user": {Credential: &syscall.Credential{Uid: 65534, Gid: 65534}},
		"root of a user namespace": {
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: root,
			GidMappings: root,
		},
	} {
		t.Run(name, func(t *testing.T) {
			// Not by path: other users may have no access to its
			// directory.
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), loadOnly+"=1")
			cmd.SysProcAttr = attr
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range []string{
				"outgoing: true load programs for outgoing marks: not permitted: needs root, or CAP_BPF",
				"incoming: true load program for incoming marks: not permitted: needs root, or CAP_BPF",
				"grace: <nil>",
			} {
				if !strings.Contains(string(out), want) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
		})
	}
}
