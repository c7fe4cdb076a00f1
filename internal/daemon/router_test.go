package daemon

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
)

func TestRouter(t *testing.T) {
	say := func(what string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %q %q", what, r.PathValue("x"), r.PathValue("y"))
		}
	}
	rs := router{
		{"GET", "/a", say("a")},
		{"GET", "/a/{x}", say("x")},
		{"DELETE", "/a/{x}", say("delete")},
		{"POST", "/a/{x}/b/{y}", say("xy")},
	}
	for _, c := range []struct {
		method, path string
		status       int
		answer       string // of status 200
		allow        string // of status 405
	}{
		{"GET", "/a", 200, `a "" ""`, ""},
		{"HEAD", "/a", 200, `a "" ""`, ""}, // net/http drops the body
		{"GET", "/a?x=1", 200, `a "" ""`, ""},
		{"GET", "/a/1", 200, `x "1" ""`, ""},
		{"DELETE", "/a/1", 200, `delete "1" ""`, ""},
		{"POST", "/a/1/b/2", 200, `xy "1" "2"`, ""},
		{"GET", "/a/a%2Fb%20%25", 200, `x "a/b %" ""`, ""},
		{"GET", "/%61/..", 200, `x ".." ""`, ""},
		{"POST", "/a", 405, "", "GET, HEAD"},
		{"POST", "/a/1", 405, "", "DELETE, GET, HEAD"},
		{"GET", "/a/1/b/2", 405, "", "POST"},
		{"GET", "/", 404, "", ""},
		{"GET", "/a/", 404, "", ""},
		{"GET", "//a", 404, "", ""},
		{"GET", "/a/1/", 404, "", ""},
		{"POST", "/a//b/2", 404, "", ""},
		{"GET", "/a%2F1", 404, "", ""},
		{"OPTIONS", "*", 404, "", ""},
	} {
		w := httptest.NewRecorder()
		rs.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.status || w.Code == 200 && w.Body.String() != c.answer || w.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: answer %d %s, allowed %q; want %+v", c.method, c.path, w.Code, w.Body, w.Header().Get("Allow"), c)
		}
	}
}

// TestOldDefaults repeats the requests under the settings that Go has outside
// of modules: they are read when a process starts.
func TestOldDefaults(t *testing.T) {
	c := exec.Command(os.Args[0], "-test.run=^(TestRouter|TestRequests|TestChildren)$", "-test.count=1")
	c.Env = append(os.Environ(), "GODEBUG=httpmuxgo121=1,httplaxcontentlength=1,httpservecontentkeepheaders=1,urlmaxqueryparams=0,urlstrictcolons=0,asynctimerchan=1,panicnil=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
