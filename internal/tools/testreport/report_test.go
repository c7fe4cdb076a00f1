package main

import (
	"strings"
	"testing"
)

// report of the events in s, one a line.
func reportOf(t *testing.T, s string) string {
	t.Helper()
	var out strings.Builder
	r := newReport(&out, false)
	if err := r.read(strings.NewReader(s)); err != nil {
		t.Fatal(err)
	}
	r.summary()
	return out.String()
}

func TestSummary(t *testing.T) {
	for _, c := range []struct {
		name, events, want string
	}{
		{"a skipped test is named with its reason", `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: needs root\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Elapsed":1.5}
`, `ok   p 1.5s
skipped tests:
  p TestA: a_test.go:3: needs root
1 passed, 0 failed, 1 skipped
`},
		{"only failures are printed", `
{"Action":"output","Package":"p","Test":"TestA","Output":"fine\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"b_test.go:3: bad\n"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"fail","Package":"p","Elapsed":0.1}
`, `b_test.go:3: bad
FAIL
FAIL p 0.1s
1 passed, 1 failed, 0 skipped
`},
		{"a crash fails the test that ran", `
{"Action":"output","Package":"p","Test":"TestA","Output":"panic: oh\n"}
{"Action":"fail","Package":"p","Elapsed":0.1}
`, `panic: oh
FAIL p 0.1s
0 passed, 1 failed, 0 skipped
`},
		{"a package that does not build fails", `
{"ImportPath":"p","Action":"build-output","Output":"p.go:1: syntax error\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","Elapsed":0}
`, `p.go:1: syntax error
FAIL	p [build failed]
FAIL p 0.0s
0 passed, 1 failed, 0 skipped
`},
		{"a package without tests is nothing", `
{"Action":"output","Package":"p","Output":"?   \tp\t[no test files]\n"}
{"Action":"skip","Package":"p","Elapsed":0}
`, `0 passed, 0 failed, 0 skipped
`},
		{"what is no event is printed", "go: no such tool\n", `go: no such tool
0 passed, 0 failed, 0 skipped
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := reportOf(t, strings.TrimPrefix(c.events, "\n")); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}
