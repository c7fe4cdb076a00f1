package main

import (
	"bytes"
	"go/scanner"
	"go/token"
	"regexp"
	"strings"
)

var (
	generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
	directive = regexp.MustCompile(`^//[^ \t]`)
	// What gofmt takes for code or a drawing; list items come with less.
	verbatim = regexp.MustCompile(`^//(\t|    )`)
	bullet   = regexp.MustCompile(`^//  ? ?([-*•]|\d+[.)]) +`)
)

// wrapComments returns a Go file with the paragraphs of its comments wrapped
// that have a line that is too long. Comments behind code are left alone.
func wrapComments(source []byte) []byte {
	if generated.Match(source) {
		return source
	}
	own := ownLines(source)
	lines := strings.Split(string(source), "\n")
	var out []string
	for i := 0; i < len(lines); {
		n := i
		for n < len(lines) && own[n+1] {
			n++
		}
		if n == i {
			out = append(out, lines[i])
			i++
			continue
		}
		out = append(out, wrapComment(lines[i:n])...)
		i = n
	}
	return []byte(strings.Join(out, "\n"))
}

// ownLines returns the numbers of the lines that hold nothing but a // comment.
func ownLines(source []byte) map[int]bool {
	own := map[int]bool{}
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(source))
	s.Init(file, source, nil, scanner.ScanComments)
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			return own
		}
		if tok != token.COMMENT || !strings.HasPrefix(text, "//") {
			continue
		}
		line := file.Line(pos)
		start := file.Offset(file.LineStart(line))
		if len(bytes.TrimSpace(source[start:file.Offset(pos)])) == 0 {
			own[line] = true
		}
	}
}

// wrapComment wraps the paragraphs and list items of one comment.
func wrapComment(lines []string) []string {
	var out, block []string
	var first, rest string
	flush := func() {
		if !anyTooLong(block, commentColumns) {
			out = append(out, block...)
		} else {
			var text []string
			for _, line := range block {
				text = append(text, strings.TrimLeft(strings.TrimLeft(strings.TrimSpace(line), "/"), " "))
			}
			text[0] = strings.TrimPrefix(block[0], first)
			out = append(out, fill(words(strings.Join(text, " ")), first, rest, commentColumns)...)
		}
		block = nil
	}
	listed := false
	for _, line := range lines {
		comment := strings.TrimLeft(line, "\t ")
		indent := line[:len(line)-len(comment)]
		switch {
		case bullet.MatchString(comment):
			flush()
			listed = true
			first = indent + bullet.FindString(comment)
			rest = indent + "//" + strings.Repeat(" ", len(first)-len(indent)-2)
			block = []string{line}
		case comment == "//" || directive.MatchString(comment) || verbatim.MatchString(comment) && !(listed && len(block) > 0):
			flush()
			listed = false
			out = append(out, line)
		case len(block) == 0:
			first, rest = indent+"// ", indent+"// "
			fallthrough
		default:
			block = append(block, line)
		}
	}
	flush()
	return out
}
