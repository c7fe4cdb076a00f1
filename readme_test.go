package muennet_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/params"
)

// TestReadmeDocumentsParameters compares the table in README.md with the
// parameters that there are.
func TestReadmeDocumentsParameters(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n| parameter | meaning |\n")
	if !found {
		t.Fatal("README.md has no table of parameters")
	}
	var documented []string
	code := regexp.MustCompile("`([a-z_]+)`")
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		names := strings.Split(line, "|")[1]
		for _, name := range code.FindAllStringSubmatch(names, -1) {
			documented = append(documented, name[1])
		}
	}
	for _, p := range params.Parameters() {
		if !slices.Contains(documented, p.Name) {
			t.Errorf("README.md lacks parameter %s", p.Name)
		}
	}
	for _, name := range documented {
		if !slices.ContainsFunc(params.Parameters(), func(p params.Parameter) bool { return p.Name == name }) {
			t.Errorf("README.md has parameter %s, which does not exist", name)
		}
	}
}
