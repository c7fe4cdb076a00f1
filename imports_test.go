package muennet_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/muennet/muennet"

// importRules says which packages may import which, where that matters. Paths
// are relative to the module; "." is the root package. Tests are exempt.
var importRules = struct {
	// needs limits the dependencies of a package, direct or indirect, apart
	// from the standard library.
	needs []rule
	// users limits the importers of a package.
	users []rule
}{
	needs: []rule{
		{"api", "", "types and constants for programs on any system"},
		{"element", "", "a public format: no system calls, no channel"},
		{"shmstream", "", "a public protocol over plain bytes: no system calls"},
		{"client", "api golang.org/x/sys/unix", "a client of the daemon must not link eBPF, netlink or TUN"},
		{"internal/checksum", "golang.org/x/sys/cpu", "arithmetic on untrusted bytes"},
		{"internal/packet", "internal/checksum golang.org/x/sys/cpu", "as internal/checksum"},
		{"internal/offload", "internal/packet internal/checksum golang.org/x/sys/cpu", "as internal/packet"},
		{"internal/names", "", "rules about text"},
		{"internal/config", "element internal/names", "rules about values: what exists is checked later"},
	},
	users: []rule{
		{"internal/cli", "cmd/muennet cmd/muennet_cfg", "a library neither prints nor exits"},
		{"internal/daemon", "internal/cli", "the facade works without a socket"},
		{"internal/demo", "internal/cli", "it creates its own namespaces and interfaces"},
		{".", "internal/cli internal/daemon examples/init test/vm/agent", "the packages below the facade must not know it"},
		{"client", "internal/cli internal/demo", "the server of the socket must not use it"},
		{"internal/datapath", "internal/driver", "one owner of forwarders"},
		{"internal/tuntap", "internal/driver", "one owner of devices"},
		{"internal/skbmark", "internal/driver", "one owner of eBPF programs"},
		{"internal/offload", "internal/datapath", "part of the data path"},
		{"internal/netlab", "internal/demo internal/testnet test/vm/agent", "namespaces for demonstrations and tests"},
		{"internal/testnet", "", "for tests only"},
		{"internal/testnet/feed", "", "for tests only"},
		{"internal/testnet/solo5", "test/vm/agent", "for tests only"},
	},
}

// publicPackages are those that other modules import. They must not export
// types of internal packages, whose documentation users do not see.
var publicPackages = []string{".", "api", "client", "element", "shmstream"}

// exposed are the exceptions, with reasons.
var exposed = map[string]string{
	"config.Carrier": "a struct is converted as a whole only if its fields have the same types: see Load.internal",
}

// rule is a line of importRules: the package, the others, separated by blanks,
// and the reason.
type rule struct{ pkg, others, why string }

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}|{{.Dir}}|{{join .Imports " "}}|{{join .Deps " "}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	needs, users := map[string][]string{}, map[string][]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "|")
		pkg := relative(f[0])
		// The files that go list reads are not inputs of the test for
		// the cache of go test, but those that the test itself reads
		// are.
		if _, err := os.ReadDir(f[1]); err != nil {
			t.Error(err)
		}
		needs[pkg] = []string{}
		for _, dep := range strings.Fields(f[3]) {
			if !standard(dep) {
				needs[pkg] = append(needs[pkg], relative(dep))
			}
		}
		for _, imported := range strings.Fields(f[2]) {
			users[relative(imported)] = append(users[relative(imported)], pkg)
		}
	}
	check := func(r rule, found []string, verb string) {
		if needs[r.pkg] == nil {
			t.Errorf("%s: no such package: correct importRules", r.pkg)
		}
		for _, other := range found {
			if !slices.Contains(strings.Fields(r.others), other) {
				t.Errorf("%s %s %s, want only [%s]: %s", r.pkg, verb, other, r.others, r.why)
			}
		}
	}
	for _, r := range importRules.needs {
		check(r, needs[r.pkg], "depends on")
	}
	for _, r := range importRules.users {
		check(r, users[r.pkg], "is imported by")
	}
}

// relative returns the path within the module; other paths stay unchanged.
func relative(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

// standard reports whether a package belongs to the standard library: the first
// element of other paths contains a dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func TestPublicTypes(t *testing.T) {
	for _, dir := range publicPackages {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, error %v", dir, len(files), err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, typ := range internalTypes(file) {
				if exposed[typ] == "" {
					t.Errorf("%s: it exports the type %s of an internal package", name, typ)
				}
			}
		}
	}
}

// internalTypes lists the types of internal packages in what the file exports.
// It removes the rest from the file.
func internalTypes(file *ast.File) (types []string) {
	internal := map[string]bool{}
	for _, i := range file.Imports {
		if at := strings.TrimPrefix(strings.Trim(i.Path.Value, `"`), module+"/"); strings.HasPrefix(at, "internal/") {
			internal[path.Base(at)] = true
		}
	}
	ast.FileExports(file)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			n.Body = nil
		case *ast.ValueSpec:
			n.Values = nil
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok && internal[pkg.Name] {
				types = append(types, pkg.Name+"."+n.Sel.Name)
			}
		}
		return true
	})
	return types
}
