package params

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Module is our name in the lines of modprobe.d files.
const Module = "muennet"

// directives are the first words of lines in modprobe.d(5).
var directives = []string{"alias", "blacklist", "install", "options", "remove", "softdep", "weakdep"}

// ReadFile returns the parameters that the modprobe.d file at path sets for
// [Module], like [ModprobeOptions].
func ReadFile(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read options: %w", err) // err names the file
	}
	defer f.Close()
	options, err := ModprobeOptions(f, Module)
	if err != nil {
		return nil, fmt.Errorf("read options %s: %w", path, err)
	}
	return options, nil
}

// ModprobeOptions returns the PARAMETER=VALUE words of all lines "options
// module ..." in a modprobe.d file, in order. No such line is not an error. The
// syntax is that of modprobe.d(5) and of the kernel's command line:
//
//   - A '#' at the beginning of a word begins a comment.
//   - A backslash at the end of a line joins the next line to it. Before any
//     other character it escapes that character.
//   - Double quotes keep white space together and are removed.
//
// Other directives are skipped. An unknown directive is an error, because it is
// most likely a misspelt one. Errors contain the number of the line.
func ModprobeOptions(r io.Reader, module string) ([]string, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var options []string
	s := scanner{text: string(text), line: 1}
	for !s.done() {
		number := s.line
		words, err := s.words()
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if len(words) == 0 {
			continue
		}
		if !slices.Contains(directives, words[0]) {
			return nil, fmt.Errorf("line %d: unknown directive %q: want one of %s", number, words[0], strings.Join(directives, ", "))
		}
		if words[0] == "options" && len(words) > 1 && words[1] == module {
			options = append(options, words[2:]...)
		}
	}
	return options, nil
}

// scanner splits a file into lines of words.
type scanner struct {
	text string // the remaining text
	line int    // line number at its beginning
}

func (s *scanner) done() bool { return s.text == "" }

// next returns the next character, and whether a backslash escapes it. It skips
// joined line ends. ok is false at the end.
func (s *scanner) next() (c byte, plain, ok bool) {
	for strings.HasPrefix(s.text, "\\\n") {
		s.text = s.text[2:]
		s.line++
	}
	if s.text == "" {
		return 0, false, false
	}
	if plain = s.text[0] == '\\' && len(s.text) > 1; plain {
		s.text = s.text[1:]
	}
	c = s.text[0]
	s.text = s.text[1:]
	if c == '\n' {
		s.line++
	}
	return c, plain, true
}

// words returns the words of the next line, after joining lines.
func (s *scanner) words() ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quoted, comment := false, false, false
	finish := func() {
		if inWord {
			words = append(words, word.String())
			word.Reset()
			inWord = false
		}
	}
	for {
		c, plain, ok := s.next()
		switch {
		case !ok || c == '\n' && !plain:
			finish()
			if quoted {
				return nil, fmt.Errorf("a double quote is not closed")
			}
			return words, nil
		case comment:
		case plain:
			word.WriteByte(c)
			inWord = true
		case c == '"':
			quoted = !quoted
			inWord = true
		case !quoted && strings.IndexByte(" \t\r\v\f", c) >= 0:
			finish()
		case c == '#' && !inWord:
			comment = true
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
}
