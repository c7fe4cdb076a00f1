package daemon

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/api"
)

// ask makes one request, by an unknown user.
func ask(s *server, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

// askRoot makes one request as root.
func askRoot(s *server, method, path, body string) *httptest.ResponseRecorder {
	return askAs(s, caller{uid: 0}, method, path, body)
}

// askAs makes one request as p.
func askAs(s *server, p caller, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	s.handler().ServeHTTP(w, r.WithContext(withCaller(r.Context(), p)))
	return w
}

func good(t *testing.T) string {
	t.Helper()
	b, err := json.Marshal(api.LoadRequest{Parameters: goodParameters, Channels: "/dev/shm/x"})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRequests(t *testing.T) {
	long := `{"parameters":["` + strings.Repeat("x", api.MaxBody) + `"]}`
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		answer                   string   // part of the body
		left                     []string // interfaces afterwards; nil = one, two
	}{
		{name: "version", method: "GET", path: "/v1/version", status: 200, answer: `"version":"1.2"`},
		{name: "all", method: "GET", path: "/v1/interfaces", status: 200, answer: `"name":"two"`},
		{name: "one", method: "GET", path: "/v1/interfaces/two", status: 200, answer: `{"name":"two"`},
		{name: "one that is none", method: "GET", path: "/v1/interfaces/x", status: 404, answer: `interface x: no such interface`},
		{name: "load", method: "POST", path: "/v1/interfaces", body: good(t), status: 200,
			answer: `{"interfaces":["net0"]}`, left: []string{"one", "two", "net0"}},
		{name: "load without parameters", method: "POST", path: "/v1/interfaces", status: 400, answer: `"error":`},
		{name: "load with a bad parameter", method: "POST", path: "/v1/interfaces",
			body: `{"parameters":["name=n","in=a","reader_protocol=1","bogus=1"]}`, status: 400, answer: `bogus`},
		{name: "load with a relative directory", method: "POST", path: "/v1/interfaces",
			body: strings.Replace(good(t), "/dev", "dev", 1), status: 400, answer: `not an absolute path`},
		{name: "no JSON", method: "POST", path: "/v1/interfaces", body: `name=net0`, status: 400, answer: `request body: invalid`},
		{name: "cut JSON", method: "POST", path: "/v1/interfaces", body: good(t)[:20], status: 400, answer: `request body: unexpected EOF`},
		{name: "unknown field", method: "POST", path: "/v1/interfaces", body: `{"parameter":[]}`, status: 400, answer: `unknown field`},
		{name: "wrong type", method: "POST", path: "/v1/interfaces", body: `{"parameters":"name=x"}`, status: 400, answer: `request body: json`},
		{name: "two values", method: "POST", path: "/v1/interfaces", body: good(t) + `{}`, status: 400, answer: `more than one value`},
		{name: "too long", method: "POST", path: "/v1/interfaces", body: long, status: 413, answer: `longer than 1048576 bytes`},
		{name: "unload one", method: "DELETE", path: "/v1/interfaces/one", status: 204, left: []string{"two"}},
		{name: "unload by query", method: "DELETE", path: "/v1/interfaces?name=one&name=two", status: 204, left: []string{}},
		{name: "unload one that is none", method: "DELETE", path: "/v1/interfaces?name=one&name=x", status: 404, answer: `x: no such interface`},
		{name: "unload all", method: "DELETE", path: "/v1/interfaces", status: 204, left: []string{}},
		{name: "unload misspelt", method: "DELETE", path: "/v1/interfaces?nam=one", status: 400, answer: `unknown key \"nam\"`},
		{name: "unload nothing", method: "DELETE", path: "/v1/interfaces?name=", status: 400, answer: `empty \"name\"`},
		{name: "broken query", method: "DELETE", path: "/v1/interfaces?name=%zz", status: 400, answer: `query: `},
		{name: "wrong method", method: "PUT", path: "/v1/interfaces", status: 405, answer: `allowed are DELETE, GET, HEAD, POST`},
		{name: "wrong path", method: "GET", path: "/v2/interfaces", status: 404, answer: `no such path: /v2/interfaces`},
		{name: "shutdown while in use", method: "POST", path: "/v1/shutdown", body: `{"idle":true}`, status: 409, answer: `2 interfaces are in use`},
		{name: "shutdown with garbage", method: "POST", path: "/v1/shutdown", body: `{"idel":true}`, status: 400, answer: `unknown field`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := &fakeNet{names: []string{"one", "two"}}
			s := newServer(f, api.Version{Version: "1.2"}, noGroup, quiet())
			w := askRoot(s, tc.method, tc.path, tc.body)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.answer) {
				t.Errorf("answer %d %s, want %d ...%s...", w.Code, w.Body, tc.status, tc.answer)
			}
			if w.Code >= 400 {
				var e api.Error
				if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Error == "" {
					t.Errorf("body %q is no Error: %v", w.Body, err)
				}
			}
			left := tc.left
			if left == nil {
				left = []string{"one", "two"}
			}
			if !slices.Equal(f.names, left) {
				t.Errorf("interfaces %q, want %q", f.names, left)
			}
			if tc.name == "load" && f.channels != "/dev/shm/x" {
				t.Errorf("loaded from %q", f.channels)
			}
		})
	}
}

func TestEmptyListIsNotNull(t *testing.T) {
	s := newServer(&fakeNet{}, api.Version{}, noGroup, quiet())
	if got := strings.TrimSpace(ask(s, "GET", api.PathInterfaces, "").Body.String()); got != "[]" {
		t.Errorf("answer %s", got)
	}
}

func TestLoadRefusedByTheKernel(t *testing.T) {
	f := &fakeNet{loadErr: errTest}
	w := askRoot(newServer(f, api.Version{}, noGroup, quiet()), "POST", api.PathInterfaces, good(t))
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), errTest.Error()) {
		t.Errorf("answer %d %s", w.Code, w.Body)
	}
}

func TestShutdown(t *testing.T) {
	for _, closeErr := range []error{nil, errTest} {
		f := &fakeNet{closeErr: closeErr}
		s := newServer(f, api.Version{}, noGroup, quiet())
		want := http.StatusNoContent
		if closeErr != nil {
			want = http.StatusInternalServerError
		}
		if w := askRoot(s, "POST", api.PathShutdown, `{"idle":true}`); w.Code != want {
			t.Errorf("answer %d %s, want %d", w.Code, w.Body, want)
		}
		select {
		case <-s.done:
		default:
			t.Error("the server does not know that it is done")
		}
		// Nothing changes any more, and the network is not closed twice.
		for _, r := range [][2]string{{"POST", api.PathShutdown}, {"DELETE", api.PathInterfaces}} {
			if w := askRoot(s, r[0], r[1], ""); w.Code != http.StatusServiceUnavailable {
				t.Errorf("%s %s after the end: %d %s", r[0], r[1], w.Code, w.Body)
			}
		}
		if w := askRoot(s, "POST", api.PathInterfaces, good(t)); w.Code != http.StatusServiceUnavailable {
			t.Errorf("load after the end: %d %s", w.Code, w.Body)
		}
		if err := s.close(); !errors.Is(err, closeErr) || f.closed != 1 {
			t.Errorf("close: %v, closed %d times", err, f.closed)
		}
	}
}

// TestVersionHasPID: over the socket, with the pid filled in.
func TestVersionHasPID(t *testing.T) {
	d := start(t, t.TempDir(), "")
	v, err := d.client().Version(t.Context())
	if err != nil || v.PID != os.Getpid() {
		t.Errorf("version %+v, %v", v, err)
	}
}

// TestLoadBreaksARule: a rule that the network finds broken, as one that the
// text does not tell, is the client's fault.
func TestLoadBreaksARule(t *testing.T) {
	f := &fakeNet{loadErr: &muennet.FieldError{Interface: "net0", Field: "Out", Value: "a", Allowed: "want another channel"}}
	w := askRoot(newServer(f, api.Version{}, noGroup, quiet()), "POST", api.PathInterfaces, good(t))
	if w.Code != http.StatusBadRequest {
		t.Errorf("answer %d %s", w.Code, w.Body)
	}
}
