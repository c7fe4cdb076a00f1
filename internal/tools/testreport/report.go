package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build, instead of Package
	Test       string // empty for the package as a whole
	Elapsed    float64
	Output     string
}

// test names a test, or with an empty name a package.
type test struct{ pkg, name string }

// report makes sense of events.
type report struct {
	w       io.Writer
	verbose bool
	output  map[test][]string // of what has not ended yet
	broken  map[string]bool   // packages with a failed test
	skipped []string          // one line each
	pass    int
	fail    int
}

func newReport(w io.Writer, verbose bool) *report {
	return &report{w: w, verbose: verbose, output: make(map[test][]string), broken: make(map[string]bool)}
}

// read takes events until the stream ends. Lines that are not events are
// printed as they are.
func (r *report) read(events io.Reader) error {
	in := bufio.NewReader(events)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				r.take(e)
			} else {
				fmt.Fprintf(r.w, "%s", line)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) take(e event) {
	t := test{e.Package, e.Test}
	switch e.Action {
	case "output":
		if r.verbose {
			fmt.Fprint(r.w, e.Output)
		}
		r.output[t] = append(r.output[t], e.Output)
	case "build-output":
		fmt.Fprint(r.w, e.Output)
	case "pass", "fail", "skip":
		if t.name == "" {
			r.endPackage(t, e)
		} else {
			r.endTest(t, e.Action)
		}
		delete(r.output, t)
	}
}

func (r *report) endTest(t test, action string) {
	switch action {
	case "pass":
		r.pass++
	case "fail":
		r.fail++
		r.broken[t.pkg] = true
		r.print(t)
	case "skip":
		r.skipped = append(r.skipped, fmt.Sprintf("%s %s: %s", t.pkg, t.name, reason(r.output[t])))
	}
}

func (r *report) endPackage(t test, e event) {
	if e.Action == "fail" {
		before := r.fail
		// What ran when a test binary crashed or timed out has no end of its
		// own, and its output tells why.
		for open := range r.output {
			if open.pkg == t.pkg && open.name != "" {
				r.fail++
				r.print(open)
				delete(r.output, open)
			}
		}
		if r.fail == before && !r.broken[t.pkg] {
			r.fail++ // it did not build, or failed outside any test
		}
		r.print(t)
	}
	if e.Action == "skip" || r.verbose {
		return // it has no tests, or go test has said so
	}
	fmt.Fprintf(r.w, "%-4s %s %.1fs\n", map[string]string{"pass": "ok", "fail": "FAIL"}[e.Action], t.pkg, e.Elapsed)
}

// print prints what a test has said, unless it is out already.
func (r *report) print(t test) {
	if !r.verbose {
		fmt.Fprint(r.w, strings.Join(r.output[t], ""))
	}
}

// reason finds in the output of a skipped test what it said before it stopped.
func reason(output []string) string {
	var said []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, " ")
}

// summary prints what was skipped, and the numbers.
func (r *report) summary() {
	if len(r.skipped) > 0 {
		fmt.Fprintln(r.w, "skipped tests:")
		for _, line := range r.skipped {
			fmt.Fprintln(r.w, "  "+line)
		}
	}
	fmt.Fprintf(r.w, "%d passed, %d failed, %d skipped\n", r.pass, r.fail, len(r.skipped))
}
