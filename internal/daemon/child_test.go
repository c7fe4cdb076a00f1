package daemon

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/muennet/muennet/api"
)

func TestChildren(t *testing.T) {
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		answer                   string // part of the body
		left                     string // children afterwards; empty = as before
	}{
		{name: "add", method: "POST", path: "/v1/children", body: `{"parent":"net0","child":"c1"}`, status: 204, left: "map[c0:[7] c1:[]]"},
		{name: "without a body", method: "POST", path: "/v1/children", status: 400, answer: "add child: parent: want the name"},
		{name: "without a parent", method: "POST", path: "/v1/children", body: `{"child":"c1"}`, status: 400, answer: "parent: want the name"},
		{name: "without a child", method: "POST", path: "/v1/children", body: `{"parent":"net0"}`, status: 400, answer: `child \"\": the name is empty`},
		{name: "long name", method: "POST", path: "/v1/children", body: `{"parent":"net0","child":"abcdefghijklmnop"}`, status: 400,
			answer: `add child: child \"abcdefghijklmnop\": 16 bytes: want at most 15`},
		{name: "bad name", method: "POST", path: "/v1/children", body: `{"parent":"net0","child":"a/b"}`, status: 400, answer: `child \"a/b\": want no '/'`},
		{name: "misspelt", method: "POST", path: "/v1/children", body: `{"parent":"net0","name":"c1"}`, status: 400, answer: "unknown field"},
		{name: "unknown parent", method: "POST", path: "/v1/children", body: `{"parent":"net9","child":"c1"}`, status: 404, answer: "net9: no such interface here"},
		{name: "child of a child", method: "POST", path: "/v1/children", body: `{"parent":"c0","child":"c1"}`, status: 409, answer: "c0 is a child of net0"},
		{name: "taken", method: "POST", path: "/v1/children", body: `{"parent":"net0","child":"c0"}`, status: 409, answer: "taken"},
		{name: "list", method: "GET", path: "/v1/children", status: 405, answer: "allowed are POST"},
		{name: "delete", method: "DELETE", path: "/v1/children/c0", status: 204, left: "map[]"},
		{name: "delete unknown", method: "DELETE", path: "/v1/children/c9", status: 404, answer: "c9: no such interface here"},
		{name: "add mark", method: "POST", path: "/v1/children/c0/marks", body: `{"mark":4294967295}`, status: 204, left: "map[c0:[7 4294967295]]"},
		{name: "mark 0", method: "POST", path: "/v1/children/c0/marks", body: `{"mark":0}`, status: 400, answer: "0 stands for no mark: want 1 to 4294967295"},
		{name: "no mark", method: "POST", path: "/v1/children/c0/marks", status: 400, answer: "0 stands for no mark"},
		{name: "mark too big", method: "POST", path: "/v1/children/c0/marks", body: `{"mark":4294967296}`, status: 400, answer: "request body: "},
		{name: "held", method: "POST", path: "/v1/children/c0/marks", body: `{"mark":7}`, status: 409, answer: `7 is held by c0","code":"held"}`},
		{name: "mark of unknown", method: "POST", path: "/v1/children/c9/marks", body: `{"mark":7}`, status: 404, answer: "c9: no such interface"},
		{name: "delete mark", method: "DELETE", path: "/v1/children/c0/marks/7", status: 204, left: "map[c0:[]]"},
		{name: "not held", method: "DELETE", path: "/v1/children/c0/marks/8", status: 404, answer: `8 is not a mark of c0","code":"not_held"}`},
		{name: "no number", method: "DELETE", path: "/v1/children/c0/marks/0x7", status: 400, answer: `\"0x7\" is not a number from 1 to 4294967295`},
		{name: "number too big", method: "DELETE", path: "/v1/children/c0/marks/4294967296", status: 400, answer: "is not a number"},
		{name: "unload", method: "DELETE", path: "/v1/interfaces/c0", status: 409, answer: "c0 is a child of net0"},
		{name: "show", method: "GET", path: "/v1/interfaces/c0", status: 404, answer: "interface c0 is a child of net0, and shown there"},
		{name: "show parent", method: "GET", path: "/v1/interfaces/net0", status: 200, answer: `"marks":[7]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := &fakeNet{names: []string{"net0", "net1"}, children: map[string][]uint32{"c0": {7}}}
			s := newServer(f, api.Version{}, noGroup, quiet())
			w := askRoot(s, tc.method, tc.path, tc.body)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.answer) || tc.status == 204 && w.Body.Len() > 0 {
				t.Errorf("answer %d %s, want %d ...%s...", w.Code, w.Body, tc.status, tc.answer)
			}
			left := tc.left
			if left == "" {
				left = "map[c0:[7]]"
			}
			if got := fmt.Sprint(f.children); got != left {
				t.Errorf("children %s, want %s", got, left)
			}
			// The same from a user who may only read.
			if tc.method != http.MethodGet {
				if w := ask(s, tc.method, tc.path, tc.body); w.Code != http.StatusForbidden || fmt.Sprint(f.children) != left {
					t.Errorf("a stranger's request: answer %d %s, children %v", w.Code, w.Body, f.children)
				}
			}
		})
	}
}

func TestNoChildrenAfterTheEnd(t *testing.T) {
	f := &fakeNet{names: []string{"net0"}}
	s := newServer(f, api.Version{}, noGroup, quiet())
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if w := askRoot(s, "POST", api.PathChildren, `{"parent":"net0","child":"c0"}`); w.Code != http.StatusServiceUnavailable || len(f.children) > 0 {
		t.Errorf("answer %d %s, children %v", w.Code, w.Body, f.children)
	}
}
