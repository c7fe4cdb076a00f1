package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// report prints "key: value" lines, the values in one column.
type report struct {
	w     io.Writer
	width int   // of the key with its colon; 0: values follow after one space
	err   error // the first error of writing
}

func (r *report) line(key string, value any) {
	r.text(fmt.Sprintf("%-*s %v", r.width, key+":", value))
}

// some prints the line unless the value is empty.
func (r *report) some(key, value string) {
	if value != "" {
		r.line(key, value)
	}
}

func (r *report) text(s string) {
	if r.err == nil {
		_, r.err = fmt.Fprintln(r.w, s)
	}
}

// memory describes the memory of a channel and, if there are several ways, its
// mapping.
func memory(kind, mapping string) string {
	if mapping == "" {
		return kind
	}
	return kind + ": " + mapping
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// netNS is a network namespace as api.Interface has it.
func netNS(id uint64) string {
	if id == 0 {
		return "none (kernel without CONFIG_NET_NS)"
	}
	return fmt.Sprint(id)
}

func sortedKeys(m map[string]uint64) []string { return slices.Sorted(maps.Keys(m)) }
