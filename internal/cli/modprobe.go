package cli

import "github.com/muennet/muennet/internal/params"

// splitOptions cuts the text that modprobe gives to a module into parameters:
// those of "options" lines, of the kernel's command line, and its own
// arguments, in this order. Of a parameter given twice the last one counts.
func splitOptions(text string) ([]string, error) {
	words, closed := params.Words(text)
	if !closed {
		return nil, usagef("--options: a double quote is not closed: %s", text)
	}
	return params.LastOfEach(words), nil
}
