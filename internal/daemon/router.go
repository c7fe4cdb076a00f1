package daemon

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// route is a kind of request: its method, its path, and its handler. A segment
// {KEY} of the path matches any segment but an empty one; the handler gets it,
// unescaped, from Request.PathValue.
type route struct {
	method, path string
	serve        http.HandlerFunc
}

// router answers a request with the first route that matches.
//
// The patterns of http.ServeMux could do the same, but not in every program
// that contains this package: GODEBUG=httpmuxgo121=1 disables them, and that is
// the default of programs built outside a module, such as u-root's busybox.
// Neither our go.mod nor a go:debug line has an effect there.
type router []route

// ServeHTTP answers 404 for a path without a route, and 405 with an Allow
// header for one with routes of other methods only.
func (rs router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, rt := range rs {
		values, ok := match(rt.path, r.URL.EscapedPath())
		if !ok {
			continue
		}
		methods := []string{rt.method}
		if rt.method == http.MethodGet {
			methods = append(methods, http.MethodHead) // the server drops the body
		}
		if slices.Contains(methods, r.Method) {
			for key, value := range values {
				r.SetPathValue(key, value)
			}
			rt.serve(w, r)
			return
		}
		allowed = append(allowed, methods...)
	}
	if allowed == nil {
		refuse(w, http.StatusNotFound, fmt.Errorf("no such path: %s", r.URL.Path))
		return
	}
	slices.Sort(allowed)
	list := strings.Join(slices.Compact(allowed), ", ")
	w.Header().Set("Allow", list)
	refuse(w, http.StatusMethodNotAllowed, fmt.Errorf("%s %s: allowed are %s", r.Method, r.URL.Path, list))
}

// match compares an escaped path with the path of a route, and returns the
// values of the segments in braces.
func match(pattern, escaped string) (values map[string]string, ok bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(escaped, "/")
	if len(want) != len(got) {
		return nil, false
	}
	values = make(map[string]string)
	for i, segment := range got {
		text, err := url.PathUnescape(segment)
		if err != nil {
			return nil, false
		}
		key, variable := strings.CutPrefix(want[i], "{")
		switch {
		case variable && text != "":
			values[strings.TrimSuffix(key, "}")] = text
		case text != want[i]:
			return nil, false
		}
	}
	return values, true
}
