package daemon

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/muennet/muennet/api"
)

// TestPageListsThePaths: the server has a handler for every request of the
// table in docs/api.md, and the table has one for every method a path allows.
func TestPageListsThePaths(t *testing.T) {
	b, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(b), "\n## Requests\n")
	table, _, _ = strings.Cut(table, "\n## ")
	fill := strings.NewReplacer("{name}", "net0", "{child}", "c0", "{mark}", "7")
	listed := map[string]map[string]bool{} // path, method
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.HasPrefix(cells[2], " /") {
			continue
		}
		method, target := strings.TrimSpace(cells[1]), fill.Replace(strings.TrimSpace(cells[2]))
		path, _, _ := strings.Cut(target, "?")
		if listed[path] == nil {
			listed[path] = map[string]bool{}
		}
		listed[path][method] = true
	}
	for _, path := range []string{
		api.PathVersion, api.PathInterfaces, api.PathInterface("net0"), api.PathChildren, api.PathChild("c0"),
		api.PathMarks("c0"), api.PathMark("c0", 7), api.PathShutdown,
	} {
		if listed[path] == nil {
			t.Errorf("%s is not on the page", path)
		}
	}
	for path, methods := range listed {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			f := &fakeNet{names: []string{"net0"}, children: map[string][]uint32{"c0": {7}}}
			s := newServer(f, api.Version{}, noGroup, quiet())
			w := askRoot(s, method, path, "")
			served := w.Code != http.StatusMethodNotAllowed && !strings.Contains(w.Body.String(), "no such path")
			if served != methods[method] {
				t.Errorf("%s %s: served: %t, on the page: %t (answer %d %s)", method, path, served, methods[method], w.Code, w.Body)
			}
		}
	}
}
