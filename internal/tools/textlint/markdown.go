package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	marker = regexp.MustCompile(`^([-*+>=|]|#+|\d+[.)]|\|.*)$`)
	item   = regexp.MustCompile(`^ *([-*+]|\d+[.)]) +`)
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	code   = regexp.MustCompile("`[^`]*`")
	slug   = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// wrapMarkdown returns text with each paragraph and list item wrapped.
func wrapMarkdown(text []byte) []byte {
	var out, block []string
	var first, rest string
	flush := func() {
		if len(block) > 0 {
			out = append(out, fill(words(strings.Join(block, " ")), first, rest, markdownColumns)...)
		}
		block = nil
	}
	fenced := false
	for _, line := range strings.Split(string(text), "\n") {
		trimmed := strings.TrimSpace(line)
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		fence := strings.HasPrefix(trimmed, "```")
		switch {
		case fence || fenced || trimmed == "" || strings.ContainsAny(trimmed[:1], "|#<>") || len(block) == 0 && len(indent) >= 4:
			flush()
			out = append(out, line)
			fenced = fenced != fence
		case item.MatchString(line):
			flush()
			first = item.FindString(line)
			rest = strings.Repeat(" ", len(first))
			block = []string{line[len(first):]}
		case len(block) == 0:
			first, rest = indent, indent
			fallthrough
		default:
			block = append(block, trimmed)
		}
	}
	flush()
	return []byte(strings.Join(out, "\n"))
}

// brokenLinks returns the relative links in the page at path that lead nowhere.
func brokenLinks(path string, text []byte) (faults []string) {
	for number, line := range prose(text) {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(line, ""), -1) {
			if strings.Contains(m[1], ":") {
				continue // to another site
			}
			name, anchor, _ := strings.Cut(m[1], "#")
			target, page := path, text
			if name != "" {
				target = filepath.Join(filepath.Dir(path), name)
				if _, err := os.Stat(target); err != nil {
					faults = append(faults, fmt.Sprintf("%s:%d: link to %s: no such file", path, number+1, m[1]))
					continue
				}
				page, _ = os.ReadFile(target) // a directory has no headings
			}
			if anchor != "" && !hasHeading(page, anchor) {
				faults = append(faults, fmt.Sprintf("%s:%d: link to %s: %s has no such heading", path, number+1, m[1], target))
			}
		}
	}
	return faults
}

// hasHeading reports whether a heading of the page gets this anchor, by the
// rules of GitHub.
func hasHeading(page []byte, anchor string) bool {
	for _, line := range prose(page) {
		title, heading := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if strings.HasPrefix(line, "#") && heading &&
			strings.ReplaceAll(slug.ReplaceAllString(strings.ToLower(title), ""), " ", "-") == anchor {
			return true
		}
	}
	return false
}

// prose returns the lines of a page, with those of fenced code empty.
func prose(page []byte) []string {
	lines := strings.Split(string(page), "\n")
	fenced := false
	for i, line := range lines {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		if fence || fenced {
			lines[i] = ""
		}
		fenced = fenced != fence
	}
	return lines
}
