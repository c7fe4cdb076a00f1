// Command textlint checks the layout of texts: Markdown is wrapped at 100
// columns, Go comments at 80, and relative links in Markdown lead somewhere.
//
//	go run ./internal/tools/textlint [-w] [FILE or DIRECTORY ...]
//
// Without arguments it checks the current directory, like gofmt -l; -w wraps
// the texts as well. Its exit code is 1 when something is wrong.
//
// A paragraph of Markdown has one right layout, the one that -w gives it. Go
// comments may be shorter than the limit. Tables, code, drawings and directives
// are left alone, and a word that is too long for a line, such as an address,
// stands on a line of its own.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	markdownColumns = 100
	commentColumns  = 80 // a tab counts as one
)

func main() {
	write := flag.Bool("w", false, "wrap the texts in place")
	flag.Parse()
	roots := flag.Args()
	if len(roots) == 0 {
		roots = []string{"."}
	}
	faults, err := lint(roots, *write)
	for _, f := range faults {
		fmt.Println(f)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "textlint: %v\n", err)
	}
	if err != nil || len(faults) > 0 {
		os.Exit(1)
	}
}

// lint returns what is wrong below roots, a line for each fault. With write it
// wraps what can be wrapped first.
func lint(roots []string, write bool) (faults []string, err error) {
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path != root && (d.Name() == "bin" || d.Name()[0] == '.'):
				return filepath.SkipDir
			case d.IsDir():
				return nil
			}
			found, err := lintFile(path, write)
			faults = append(faults, found...)
			return err
		})
		if err != nil {
			return faults, err
		}
	}
	return faults, nil
}

func lintFile(path string, write bool) ([]string, error) {
	wrapped := wrapMarkdown
	switch {
	case strings.HasSuffix(path, ".go"):
		wrapped = wrapComments
	case !strings.HasSuffix(path, ".md"):
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var faults []string
	switch want := wrapped(text); {
	case bytes.Equal(text, want):
	case write:
		if err := os.WriteFile(path, want, 0o644); err != nil {
			return nil, err
		}
		text = want
	default:
		faults = append(faults, fmt.Sprintf("%s:%d: not wrapped: run textlint -w", path, firstDifference(text, want)))
	}
	if strings.HasSuffix(path, ".md") {
		faults = append(faults, brokenLinks(path, text)...)
	}
	return faults, nil
}

// firstDifference returns the number of the first line in which a and b differ.
func firstDifference(a, b []byte) int {
	before, after := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(before), len(after)) {
		if !bytes.Equal(before[i], after[i]) {
			return i + 1
		}
	}
	return min(len(before), len(after)) + 1
}

// fill sets words into lines of at most columns. The first line begins with
// first, the others with rest.
func fill(words []string, first, rest string, columns int) []string {
	var lines []string
	line, empty := first, true
	for _, w := range words {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(w) > columns {
			lines, line, empty = append(lines, line), rest, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+w, false
	}
	return append(lines, line)
}

// words splits text at blanks, but not within `code`. A word that Markdown
// would take for a marker at the beginning of a line stays with the one before.
func words(text string) []string {
	var all []string
	code := false
	for _, w := range strings.Fields(text) {
		if n := len(all); n > 0 && (code || marker.MatchString(w)) {
			all[n-1] += " " + w
		} else {
			all = append(all, w)
		}
		if strings.Count(w, "`")%2 == 1 {
			code = !code
		}
	}
	return all
}

// tooLong reports whether a line has more than columns.
func tooLong(columns int) func(string) bool {
	return func(line string) bool { return utf8.RuneCountInString(line) > columns }
}

func anyTooLong(lines []string, columns int) bool {
	return slices.ContainsFunc(lines, tooLong(columns))
}
