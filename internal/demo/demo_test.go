package demo_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/cli"
	"github.com/muennet/muennet/internal/demo"
	"github.com/muennet/muennet/internal/testnet"
)

// asProgram makes this test binary the muennet command. Processes that the
// command starts inherit it.
const asProgram = "MUENNET_TEST_AS_PROGRAM"

// unprivileged makes it drop all privileges first.
const unprivileged = "MUENNET_TEST_UNPRIVILEGED"

const nobody = 65534

func TestMain(m *testing.M) {
	if os.Getenv(unprivileged) != "" {
		fmt.Fprintln(os.Stderr, dropPrivileges())
		os.Exit(1)
	}
	if os.Getenv(asProgram) != "" {
		os.Exit(cli.Main(os.Args))
	}
	os.Exit(m.Run())
}

// short is the measuring time: the tests check that it works, not how fast.
const short = "100ms"

// watched starts the demonstration in this process and returns its output line
// by line. At its end the test checks that nothing is left.
func watched(t *testing.T, ctx context.Context) (lines <-chan string, result <-chan error) {
	t.Helper()
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv(asProgram, "1")
	t.Cleanup(func() { checkNothingLeft(t, dir) })
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := demo.Run(ctx, demo.Config{Out: w}, "demo", "--inside", "--time", short)
		w.Close()
		done <- err
	}()
	return scan(r), done
}

func scan(r io.Reader) <-chan string {
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		all, line := make([]byte, 4096), ""
		for {
			n, err := r.Read(all)
			for _, c := range string(all[:n]) {
				if line += string(c); c == '\n' {
					lines <- line
					line = ""
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return lines
}

// checkNothingLeft fails the test if a process or a file is left of a
// demonstration that made its directory in dir.
func checkNothingLeft(t *testing.T, dir string) {
	t.Helper()
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("files %v, error %v; want an empty directory", files, err)
	}
	checkNoProcessLeft(t, dir)
}

func checkNoProcessLeft(t *testing.T, dir string) {
	t.Helper()
	// The last processes of a namespace may take a moment to end.
	testnet.EventuallyNil(t, func() error {
		if left := processes(t, dir, ""); len(left) > 0 {
			return fmt.Errorf("processes left: %v", left)
		}
		return nil
	})
}

// processes lists the processes of a demonstration that made its directory in
// dir: those with the argument, or all if that is empty.
func processes(t *testing.T, dir, argument string) (pids []int) {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range found {
		line, _ := os.ReadFile(file) // it may have ended
		args := strings.Split(string(line), "\x00")
		if args[0] != "muennet" || !strings.Contains(string(line), dir) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(file, "/")[2]); err == nil && (argument == "" || slices.Contains(args, argument)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// everyStep lists the first words of a complete demonstration's lines.
var everyStep = []string{"channels", "load", "ping", "tcp", "udp", "ethernet", "marks", "counters", "unload", "demo: ok\n"}

func checkComplete(t *testing.T, output string) {
	t.Helper()
	var steps []string
	for line := range strings.Lines(output) {
		step, _, _ := strings.Cut(line, " ")
		if line == "demo: ok\n" {
			step = line
		}
		if len(steps) == 0 || steps[len(steps)-1] != step {
			steps = append(steps, step)
		}
	}
	if !slices.Equal(steps, everyStep) {
		t.Errorf("steps %q, want %q; output:\n%s", steps, everyStep, output)
	}
}

func TestShowsEverythingAndLeavesNothing(t *testing.T) {
	lines, result := watched(t, context.Background())
	var output strings.Builder
	for line := range lines {
		output.WriteString(line)
	}
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	checkComplete(t, output.String())
	for _, want := range []string{
		"left to 192.168.1.2, 1472 bytes: 50 of 50 answered",
		"left to fd00::2, 1452 bytes: 50 of 50 answered",
		"left  to 192.168.1.2: ", "right to fd00::1: ",
		"ARP says 192.168.2.2 is at ",
		"right net1: rx ",
	} {
		if !strings.Contains(output.String(), want) {
			t.Errorf("%q is not in the output:\n%s", want, &output)
		}
	}
}

func TestInterruptionLeavesNothing(t *testing.T) {
	for _, step := range []string{"channels", "load", "ping", "tcp", "ethernet"} {
		t.Run(step, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			lines, result := watched(t, ctx)
			for line := range lines {
				if strings.HasPrefix(line, step) {
					cancel()
				}
			}
			if err := <-result; err == nil || err.Error() != "interrupted" {
				t.Errorf("error %v, want interrupted", err)
			}
		})
	}
}

func TestFailureOfAHostIsTheReason(t *testing.T) {
	lines, result := watched(t, context.Background())
	killed := false
	for line := range lines {
		if !killed && strings.HasPrefix(line, "ping") {
			for _, pid := range processes(t, os.TempDir(), "in=channel_a_to_b") {
				if err := unix.Kill(pid, unix.SIGKILL); err != nil {
					t.Error(err)
				}
				killed = true
			}
		}
	}
	err := <-result
	if !killed || err == nil || !strings.Contains(err.Error(), "muennet on right: signal: killed") {
		t.Errorf("killed: %v; error %v, want that muennet on right was killed", killed, err)
	}
}

// program returns a command that runs the demonstration.
func program(t *testing.T) (cmd *exec.Cmd, dir string) {
	t.Helper()
	testnet.Privileged(t)
	testnet.CheckLeaks(t)
	// Other users have no access to t.TempDir.
	dir, err := os.MkdirTemp("", "muennet-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command("/proc/self/exe", "demo", "--time", short)
	cmd.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+dir)
	return cmd, dir
}

func TestKillLeavesNoProcess(t *testing.T) {
	cmd, dir := program(t)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for line := range scan(out) {
		if strings.HasPrefix(line, "ping") {
			cmd.Process.Kill()
		}
	}
	cmd.Wait() // says that it was killed
	checkNoProcessLeft(t, dir)
}

func TestRunsInAUserNamespace(t *testing.T) {
	cmd, dir := program(t)
	if value, err := os.ReadFile("/proc/sys/user/max_user_namespaces"); err == nil && strings.TrimSpace(string(value)) == "0" {
		t.Skip("needs user namespaces: the sysctl user.max_user_namespaces is 0")
	}
	cmd.Env = append(cmd.Env, unprivileged+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	checkComplete(t, string(output))
	checkNothingLeft(t, dir)
}

// dropPrivileges replaces this process, which has a mount namespace of its own,
// by the program as an unprivileged user runs it, on a machine where all users
// may make TUN devices. It returns only with an error.
func dropPrivileges() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("test", "/dev/net", "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount /dev/net: %w", err)
	}
	if err := unix.Mknod("/dev/net/tun", unix.S_IFCHR, int(unix.Mkdev(10, 200))); err != nil {
		return fmt.Errorf("make /dev/net/tun: %w", err)
	}
	if err := os.Chmod("/dev/net/tun", 0o666); err != nil {
		return err
	}
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setgid(nobody); err != nil {
		return err
	}
	if err := syscall.Setuid(nobody); err != nil {
		return err
	}
	if err := os.Unsetenv(unprivileged); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
}

func TestWithoutTunSaysSo(t *testing.T) {
	cmd, _ := program(t)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	info, err := os.Stat("/dev/net/tun")
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&0o006 == 0o006 {
		t.Skip("all users may open /dev/net/tun here")
	}
	output, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(output), "muennet: demo: /dev/net/tun may not be opened by this user: run as root") {
		t.Errorf("error %v, output %q; want that /dev/net/tun may not be opened", err, output)
	}
}
