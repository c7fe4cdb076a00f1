package testnet_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/testnet"
)

func TestNamespaceIsFreshAndGoesAway(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	here, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("inside", func(t *testing.T) {
		ns := testnet.New(t)
		ns.Do(func() {
			links, err := net.Interfaces()
			if err != nil {
				t.Fatal(err)
			}
			if len(links) != 1 || links[0].Name != "lo" || links[0].Flags&net.FlagUp == 0 {
				t.Errorf("interfaces %v, want lo up and nothing else", links)
			}
		})
		if other := testnet.New(t); other.ID() == ns.ID() {
			t.Error("two namespaces have one identity")
		}
	})
	after, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	if len(here) != len(after) {
		t.Errorf("the test's own namespace has changed: %v, before %v", after, here)
	}
}

func TestCommandsRunInTheNamespace(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	testnet.Need(t, "readlink")
	ns := testnet.New(t)
	want := fmt.Sprintf("net:[%d]\n", ns.ID())
	if got := ns.MustRun("readlink", "/proc/self/ns/net"); got != want {
		t.Errorf("MustRun: in %q, want %q", got, want)
	}
	out, err := ns.Command("readlink", "/proc/self/ns/net").Output()
	if string(out) != want || err != nil {
		t.Errorf("Output: in %q, want %q; error %v", out, want, err)
	}
	// Another process reaches the namespace by its path.
	out, err = exec.Command(testnet.Need(t, "nsenter"), "--net="+ns.Path(), "readlink", "/proc/self/ns/net").CombinedOutput()
	if string(out) != want || err != nil {
		t.Errorf("nsenter: in %q, want %q; error %v", out, want, err)
	}
	var exit *exec.ExitError
	if err := ns.Command("sh", "-c", "exit 3").Run(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("error %v, want exit code 3", err)
	}
	if err := ns.Command("/nonexistent/tool").Run(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want that there is no such file", err)
	}
}

func TestRunningCommandIsKilledAtTheEnd(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	var cmd *testnet.Cmd
	t.Run("inside", func(t *testing.T) {
		cmd = testnet.New(t).Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	})
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("error %v, want that it was killed", err)
	}
}

func TestVethCarriesPackets(t *testing.T) {
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	a, b := testnet.New(t), testnet.New(t)
	a.Quiet()
	b.Quiet()
	a.AddVeth("left", b, "right")
	left := a.Packet(testnet.PacketConfig{Interface: "left"})
	right := b.Packet(testnet.PacketConfig{Interface: "right"})

	if p, err := right.Recv(0); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("received %x, error %v from a quiet interface", p, err)
	}
	frame := append(bytes.Repeat([]byte{0xff}, 12), 0x88, 0xb5, 1, 2, 3)
	for range 2 { // again after a time-out, and again after that
		if err := left.Send(frame); err != nil {
			t.Fatal(err)
		}
		got, err := right.Recv(10 * time.Second)
		if err != nil || !bytes.Equal(got, frame) {
			t.Fatalf("received %x, error %v; want %x", got, err, frame)
		}
	}
	// A tagged frame comes back whole, although the kernel takes the tag
	// out.
	tagged := append(bytes.Repeat([]byte{0xff}, 12), 0x81, 0, 0x60, 5, 0x88, 0xb5, 1, 2, 3)
	if err := left.Send(tagged); err != nil {
		t.Fatal(err)
	}
	if got, err := right.Recv(10 * time.Second); err != nil || !bytes.Equal(got, tagged) {
		t.Errorf("received %x, error %v; want %x", got, err, tagged)
	}
	if p, err := left.Recv(time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the sender received %x, error %v", p, err)
	}
}

// reporter stands in for the test that CheckLeaks judges.
type reporter struct {
	testing.TB
	cleanup func()
	errors  []string
}

func (r *reporter) Helper()          {}
func (r *reporter) Cleanup(f func()) { r.cleanup = f }
func (r *reporter) Errorf(format string, a ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, a...))
}

func TestCheckLeaksNamesWhatIsLeft(t *testing.T) {
	r := &reporter{TB: t}
	testnet.CheckLeaks(r)
	file, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	release := make(chan struct{})
	defer close(release)
	go func() { <-release }()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()

	testnet.ShortenSettle(t)
	r.cleanup()
	if len(r.errors) != 1 {
		t.Fatalf("%d errors, want 1: %q", len(r.errors), r.errors)
	}
	for _, want := range []string{"/dev/zero", "(sleep)", "TestCheckLeaksNamesWhatIsLeft.func"} {
		if !strings.Contains(r.errors[0], want) {
			t.Errorf("%q is not in the report:\n%s", want, r.errors[0])
		}
	}
}

func TestCheckLeaksWaitsForWhatGoesAway(t *testing.T) {
	r := &reporter{TB: t}
	testnet.CheckLeaks(r)
	release := make(chan struct{})
	go func() { <-release }()
	testnet.OnSettle(t, func() { close(release) })
	r.cleanup()
	if len(r.errors) != 0 {
		t.Errorf("reported what had gone away: %q", r.errors)
	}
}
