package cli

import (
	"slices"
	"strings"
)

// splitOptions cuts the text that modprobe gives to a module into parameters:
// those of "options" lines, of the kernel's command line, and its own
// arguments, in this order. The rules are the kernel's (next_arg in
// lib/cmdline.c): white space separates, unless it is between double quotes,
// which go away; and of a parameter given twice the last one counts.
func splitOptions(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quoted := false, false
	finish := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	for _, c := range []byte(text) {
		switch {
		case c == '"':
			quoted, inWord = !quoted, true
		case !quoted && strings.IndexByte(" \t\n\v\f\r", c) >= 0:
			finish()
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if quoted {
		return nil, usagef("--options: a double quote is not closed: %s", text)
	}
	finish()
	return lastOfEach(words), nil
}

// lastOfEach drops the parameters that come again with another value.
func lastOfEach(words []string) []string {
	seen := map[string]bool{}
	var last []string
	for _, w := range slices.Backward(words) {
		key, _, _ := strings.Cut(w, "=")
		if !seen[key] {
			last = append(last, w)
		}
		seen[key] = true
	}
	slices.Reverse(last)
	return last
}
