package region

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// With this variable set, the test binary runs one of the helpers below: the
// value is the name of the helper, the arguments are those of the helper.
const helperVariable = "MUENNET_REGION_HELPER"

var helpers = map[string]func(args []string) error{
	// lock holds the writer's lock of a spec until its input ends.
	"lock": func(args []string) error {
		r, err := Open("/nowhere", args[0], ReadWrite)
		if err != nil {
			return err
		}
		if err := r.Lock(); err != nil {
			return err
		}
		fmt.Println("locked")
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	},
	// probe prints whether a reader sees a writer.
	"probe": func(args []string) error {
		r, err := Open("/nowhere", args[0], ReadOnly)
		if err != nil {
			return err
		}
		defer r.Close()
		fmt.Println(r.WriterLocked())
		return nil
	},
	// open opens a spec without privileges; the third argument is the
	// default directory.
	"open": func(args []string) error {
		if len(args) > 2 {
			plainDir = args[2]
		}
		if os.Geteuid() == 0 {
			if err := syscall.Setuid(65534); err != nil {
				return err
			}
		}
		access := ReadOnly
		if args[1] == "rw" {
			access = ReadWrite
		}
		_, err := Open("/nowhere", args[0], access)
		fmt.Println(err)
		return nil
	},
	// create makes a channel in a directory.
	"create": func(args []string) error {
		fmt.Println(Create(args[0], args[1], 4096, DefaultMode))
		return nil
	},
	// unguarded reads a region after its file has shrunk, without Guard.
	"unguarded": func(args []string) error {
		r, err := Open("/nowhere", args[0], ReadOnly)
		if err != nil {
			return err
		}
		if err := os.Truncate(r.Path(), 0); err != nil {
			return err
		}
		fmt.Println("survived", r.Bytes()[0])
		return nil
	},
}

func TestMain(m *testing.M) {
	name := os.Getenv(helperVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := helpers[name](os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func helper(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	// By default the race detector sleeps a second at exit.
	cmd.Env = append(os.Environ(), helperVariable+"="+name, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// run runs a helper to completion and returns the first line of its output.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := helper(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("helper %s %q: %v", name, args, err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// holdLock makes another process hold the lock of spec and returns its pid. The
// returned function kills it, like a crash.
func holdLock(t *testing.T, spec string) (pid int, kill func()) {
	t.Helper()
	cmd := helper("lock", spec)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := false
	kill = func() {
		if !done {
			done = true
			cmd.Process.Kill()
			stdin.Close()
			cmd.Wait()
		}
	}
	t.Cleanup(kill)
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "locked\n" {
		t.Fatalf("helper lock %s: said %q, %v", spec, line, err)
	}
	return cmd.Process.Pid, kill
}

// file creates a channel file of size bytes in its own directory.
func file(t *testing.T, size int64) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	if err := Create(dir, "c", size, DefaultMode); err != nil {
		t.Fatal(err)
	}
	return dir, dir + "/c"
}

func open(t *testing.T, spec string, access Access) *Region {
	t.Helper()
	r, err := Open("/nowhere", spec, access)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// descriptors counts the open files of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// wantError compares the text of an error; %DIR in want stands for dir.
func wantError(t *testing.T, err error, dir, want string) {
	t.Helper()
	want = strings.ReplaceAll(want, "%DIR", dir)
	if err == nil || err.Error() != want {
		t.Errorf("error\n  %v\nwant\n  %s", err, want)
	}
}

// nothingMapped checks that no file in the directory is mapped.
func nothingMapped(t *testing.T, dir string) {
	t.Helper()
	mapped.Lock()
	defer mapped.Unlock()
	for _, s := range mapped.spans {
		if strings.HasPrefix(s.path, dir) {
			t.Errorf("%s is still mapped", s.path)
		}
	}
}
