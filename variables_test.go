package muennet_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestExportedVariables: no package has a variable that other packages can
// change. Errors are variables by convention.
func TestExportedVariables(t *testing.T) {
	fset, files := token.NewFileSet(), 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "bench" || strings.HasPrefix(path, ".") && path != "."): // bench is a module of its own
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files++
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, name := range variables(f) {
			if name.IsExported() && !strings.HasPrefix(name.Name, "Err") {
				t.Errorf("%s: variable %s is exported", fset.Position(name.Pos()), name.Name)
			}
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Fatalf("%d files, %v", files, err)
	}
}

// variables returns the names of the package-level variables in f.
func variables(f *ast.File) (names []*ast.Ident) {
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
			for _, s := range g.Specs {
				names = append(names, s.(*ast.ValueSpec).Names...)
			}
		}
	}
	return names
}
