package params

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// CommandLine is what a kernel command line says.
type CommandLine struct {
	Auto       bool     // muennet.auto
	Channels   string   // muennet.channels=DIR
	Parameters []string // every other muennet.PARAMETER=VALUE, without "muennet."
	Others     []string // words of others
}

// ParseCommandLine reads a kernel command line as modprobe and the kernel do:
// words as [Words] cuts them, a '-' in a name counts as '_', of a parameter
// given twice the last one counts, and what follows the word -- is the first
// process's. Whether a parameter exists is Parse's business.
func ParseCommandLine(text string) (c CommandLine) {
	words, _ := Words(text)
	end := len(words)
	if i := slices.Index(words, "--"); i >= 0 {
		end = i
	}
	for i, word := range words {
		name, value, given := strings.Cut(word, "=")
		parameter, ours := strings.CutPrefix(canonical(name), Module+".")
		switch {
		case i == end: // the word -- itself
		case !ours || i > end:
			c.Others = append(c.Others, word)
		case parameter == "auto":
			c.Auto = true
		case parameter == "channels":
			c.Channels = value
		case given:
			c.Parameters = append(c.Parameters, parameter+"="+value)
		default:
			c.Parameters = append(c.Parameters, parameter)
		}
	}
	c.Parameters = LastOfEach(c.Parameters)
	return c
}

// ReadCommandLine reads the command line of the running kernel, which needs
// /proc.
func ReadCommandLine() (CommandLine, error) {
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return CommandLine{}, fmt.Errorf("read kernel command line: %w", err)
	}
	return ParseCommandLine(string(text)), nil
}

// Words cuts text as the kernel cuts its command line (next_arg in
// lib/cmdline.c): white space separates words, unless it is between double
// quotes, which go away. False: a quote is open at the end, where the kernel
// takes it as closed.
func Words(text string) (words []string, closed bool) {
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
	finish()
	return words, !quoted
}

// LastOfEach drops the words PARAMETER=VALUE whose parameter comes again.
func LastOfEach(words []string) []string {
	seen := map[string]bool{}
	var last []string
	for _, w := range slices.Backward(words) {
		name, _, _ := strings.Cut(w, "=")
		if name = canonical(name); !seen[name] {
			last = append(last, w)
		}
		seen[name] = true
	}
	slices.Reverse(last)
	return last
}

// canonical is the one name of a parameter or module: the kernel takes a '-'
// for a '_'.
func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }
