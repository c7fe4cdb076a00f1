package vm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/muennet/muennet/test/vm/initrd"
)

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

// build builds a program of the tree for a guest, as make build does, and
// returns its path.
func build(pkg string) (string, error) {
	out := filepath.Join(built, filepath.Base(pkg))
	c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, "github.com/muennet/muennet/"+pkg)
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64")
	if text, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, text)
	}
	return out, nil
}

// programs are those of every guest, by their names there.
var programs = sync.OnceValues(func() (map[string][]byte, error) {
	files := make(map[string][]byte)
	for name, pkg := range map[string]string{"init": "examples/init", "bin/exercise": "test/vm/exercise"} {
		path, err := build(pkg)
		if err != nil {
			return nil, err
		}
		if files[name], err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	return files, nil
})

// file is one to add to what a guest boots from.
type file struct {
	name string // relative to the root
	mode uint32
	data []byte
}

// image writes what a guest boots from to a file: the programs, the kernel's
// modules, and files of the guest's own. A base comes before all of that, and
// has the first process.
func image(t *testing.T, k kernel, base []byte, own []file) (path string) {
	t.Helper()
	all, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "initrd")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	// A kernel unpacks several archives as if they were one.
	if _, err := out.Write(base); err != nil {
		t.Fatal(err)
	}
	w := initrd.New(out)
	w.Character("dev/console", 5, 1)
	for name, data := range all {
		if name != "init" || base == nil {
			w.File(name, 0o755, data)
		}
	}
	modules, err := filepath.Glob(filepath.Join(k.dir(), "modules", "*.ko"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range modules {
		data, err := os.ReadFile(m)
		if err != nil {
			t.Fatal(err)
		}
		w.File("lib/modules/"+filepath.Base(m), 0o755, data)
	}
	for _, f := range own {
		w.File(f.name, f.mode, f.data)
	}
	if err := w.Close(); err != nil {
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
