package api

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

const page = "../docs/api.md"

// TestPageDescribesTheJSON compares the tables of docs/api.md with the structs:
// the page must have exactly their keys, with their types.
func TestPageDescribesTheJSON(t *testing.T) {
	described := keys(t)
	for _, v := range []any{
		Interface{}, Child{}, Marking{}, Channel{}, Writer{}, Reader{}, Stats{}, Version{},
		LoadRequest{}, LoadResponse{}, UnloadResponse{}, AddChildRequest{}, AddMarkRequest{}, ShutdownRequest{}, Error{},
	} {
		typ := reflect.TypeOf(v)
		table := described[typ.Name()]
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Anonymous { // its keys are on the level of those of typ
				continue
			}
			key, omit, _ := strings.Cut(f.Tag.Get("json"), ",")
			want := jsonType(f.Type)
			if omit == "omitempty" {
				want += "?"
			}
			if got := table[key]; got != want {
				t.Errorf("%s.%s: type %q on the page, want %q", typ.Name(), key, got, want)
			}
			delete(table, key)
		}
		for key := range table {
			t.Errorf("%s.%s is only on the page", typ.Name(), key)
		}
		delete(described, typ.Name())
	}
	for name := range described {
		t.Errorf("%s is only on the page", name)
	}
}

// TestPageListsTheCodes checks the table of error codes.
func TestPageListsTheCodes(t *testing.T) {
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range codes {
		if !strings.Contains(string(b), "\n| "+c.code+" | `Err") {
			t.Errorf("code %s is not on the page", c.code)
		}
	}
}

// keys parses the tables below "## Objects": object, key, type.
func keys(t *testing.T) map[string]map[string]string {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, objects, _ := strings.Cut(string(b), "\n## Objects\n")
	all := map[string]map[string]string{}
	var table map[string]string
	for line := range strings.Lines(objects) {
		if name, ok := strings.CutPrefix(line, "### "); ok {
			table = map[string]string{}
			all[strings.TrimSpace(name)] = table
		}
		if cells := strings.Split(line, "|"); len(cells) == 5 && cells[1] != " key " && cells[1] != "---" {
			table[strings.TrimSpace(cells[1])] = strings.TrimSpace(cells[2])
		}
	}
	return all
}

// jsonType returns the type of a JSON value as the page names it.
func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Uint32, reflect.Uint64:
		return "integer"
	case reflect.Slice:
		return "[]" + jsonType(t.Elem())
	case reflect.Map:
		return fmt.Sprintf("{%s: %s}", jsonType(t.Key()), jsonType(t.Elem()))
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.Struct:
		return t.Name()
	}
	return "unknown to this test: " + t.String()
}
