package cli

import "github.com/muennet/muennet/internal/params"

// splitOptions splits the text that modprobe passes to a module into
// parameters: those of "options" lines, of the kernel command line, and its own
// arguments, in this order. The last value of a parameter counts.
func splitOptions(text string) ([]string, error) {
	words, closed := params.Words(text)
	if !closed {
		return nil, usagef("--options: a double quote is not closed: %s", text)
	}
	return params.LastOfEach(words), nil
}
