package skbmark_test

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/skbmark"
	"github.com/muennet/muennet/internal/testnet"
)

// inChild is set in the process that TestFewDescriptors starts.
const inChild = "MUENNET_TEST_FEW_DESCRIPTORS"

// A lack of descriptors is reported as such, and not remembered as a missing
// kernel feature. Probe results hold for the lifetime of a process, so the test
// needs a new one.
func TestFewDescriptors(t *testing.T) {
	testnet.Privileged(t)
	if os.Getenv(inChild) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestFewDescriptors$", "-test.v")
		cmd.Env = append(os.Environ(), inChild+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	open := func() error {
		out, outErr := skbmark.NewOutgoing()
		in, inErr := skbmark.NewIncoming()
		if outErr == nil {
			outErr = out.Close()
		}
		if inErr == nil {
			inErr = in.Close()
		}
		return errors.Join(outErr, inErr)
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	for limit := uint64(3); ; limit++ {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
		err := open()
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EMFILE) || errors.Is(err, skbmark.ErrUnsupported) || limit > 100 {
			t.Fatalf("limit %d: %v", limit, err)
		}
	}
}
