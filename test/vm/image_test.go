package vm

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/muennet/muennet/test/vm/initrd"
)

// dir is where make vm-test keeps the kernel, and where logs of failed tests go.
var dir = func() string {
	if d := os.Getenv("MUENNET_VM"); d != "" {
		return d
	}
	return filepath.Join("..", "..", "bin", "vm")
}()

// built is where the programs for guests are built.
var built string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	var err error
	if built, err = os.MkdirTemp("", "muennet-vm"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(built)
	// As the daemon does, and as package muennet advises.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 4))
	code := m.Run()
	figures.print()
	return code
}

// need skips the test where there is nothing to boot, or nothing to boot it in.
// CI is meant to have both.
func need(t testing.TB) (qemu string) {
	t.Helper()
	missing := func(what string) {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s: run make vm-test as root on a Debian system", what)
		}
		t.Skipf("%s: make vm-test provides it", what)
	}
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		missing("no qemu-system-x86_64")
	}
	if _, err := os.Stat(kernel()); err != nil {
		missing("no kernel in " + dir)
	}
	return qemu
}

func kernel() string { return filepath.Join(dir, "vmlinuz") }

// build builds a program of the tree for a guest, as make build does, and returns
// its path.
func build(pkg string) (string, error) {
	out := filepath.Join(built, filepath.Base(pkg))
	c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, "github.com/muennet/muennet/"+pkg)
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64")
	if text, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, text)
	}
	return out, nil
}

// archive is what all guests boot from, made once.
var archive = sync.OnceValues(func() ([]byte, error) {
	var b bytes.Buffer
	w := initrd.New(&b)
	w.Character("dev/console", 5, 1)
	files := map[string]string{"init": "examples/init", "bin/exercise": "test/vm/exercise"}
	for name, pkg := range files {
		program, err := build(pkg)
		if err != nil {
			return nil, err
		}
		files[name] = program
	}
	modules, err := filepath.Glob(filepath.Join(dir, "modules", "*.ko"))
	if err != nil {
		return nil, err
	}
	for _, m := range modules {
		files["lib/modules/"+filepath.Base(m)] = m
	}
	for name, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		w.File(name, 0o755, data)
	}
	return b.Bytes(), w.Close()
})

// file is one to add to what a guest boots from.
type file struct {
	name string // relative to the root
	mode uint32
	data []byte
}

// image writes what a guest boots from to a file: the same for all, and files of
// its own, which a kernel unpacks as if they were in one archive.
func image(t *testing.T, own []file) (path string) {
	t.Helper()
	base, err := archive()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := initrd.New(&b)
	for _, f := range own {
		w.File(f.name, f.mode, f.data)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(path, slices.Concat(base, b.Bytes()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// command is the file /bin/muennet of a guest.
func command(t *testing.T) file {
	t.Helper()
	path, err := build("cmd/muennet")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file{"bin/muennet", 0o755, data}
}

// TestSize bounds the static programs that are shipped, stripped.
func TestSize(t *testing.T) {
	const limit = 12 << 20
	for _, pkg := range []string{"cmd/muennet", "examples/init"} {
		path, err := build(pkg)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() >= limit {
			t.Errorf("%s has %d bytes: want less than %d", pkg, info.Size(), limit)
		}
		figures.add("size of %s: %.1f MiB", pkg, float64(info.Size())/(1<<20))
	}
}
