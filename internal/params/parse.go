package params

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/muennet/muennet/internal/config"
)

// argument is one PARAMETER=VALUE.
type argument struct {
	*definition
	value string
}

// entry is an interface under construction.
type entry struct {
	config.Interface
	position int               // in the lists, from 1
	given    map[string]string // its entries in the lists, by parameter; for error texts
}

// ErrNoName is the error of [Parse] for arguments without an interface name.
// They may have other faults.
var ErrNoName = errors.New("parameter name: missing: want the name of at least one interface")

// Parse parses the arguments of one load, each "PARAMETER=VALUE", in any order.
// As in the kernel, a '-' in the name of a parameter counts as '_'. Fields
// without an argument keep their zero value, which selects the default. The
// protocol id of an absent direction is dropped.
//
// On error, which names the parameter, its entry and what is allowed, the Load
// is empty.
func Parse(args []string) (config.Load, error) {
	given, err := split(args)
	if err != nil {
		return config.Load{}, err
	}
	entries, count, err := names(given)
	if err != nil {
		return config.Load{}, err
	}
	var load config.Load
	for _, a := range given {
		switch {
		case a.Name == "name": // done
		case a.global != nil:
			err = a.applyGlobal(&load)
		default:
			err = a.apply(entries, count)
		}
		if err != nil {
			return config.Load{}, err
		}
	}
	for i := range entries {
		entries[i].dropAbsent()
		load.Interfaces = append(load.Interfaces, entries[i].Interface)
	}
	if err := load.Validate(); err != nil {
		return config.Load{}, translate(err, given, entries)
	}
	return load, nil
}

// dropAbsent drops the protocol id of an absent direction.
func (e *entry) dropAbsent() {
	if e.In == "" {
		e.ReaderProtocol = 0
	}
	if e.Out == "" {
		e.WriterProtocol = 0
	}
}

// translate rewrites an error about a field of the configuration as one about
// its parameter.
func translate(err error, given []argument, entries []entry) error {
	var rule *config.Error
	if !errors.As(err, &rule) {
		return err
	}
	i := slices.IndexFunc(table, func(d definition) bool { return d.field == rule.Field })
	if i < 0 {
		return err
	}
	reason := &reworded{rule, notation[rule.Field]}
	if rule.Index >= 0 {
		return entries[rule.Index].wrong(table[i].Name, reason)
	}
	for _, a := range given {
		if a.definition == &table[i] {
			return a.wrong(reason)
		}
	}
	return err
}

// notation is what an error adds for parameters, by field.
var notation = map[string]string{"ReaderProtocol": ", hexadecimal", "WriterProtocol": ", hexadecimal"}

// reworded is a config.Error without the field, which the surrounding text
// names.
type reworded struct {
	rule     *config.Error
	notation string
}

func (r *reworded) Error() string { return r.rule.Allowed + r.notation }
func (r *reworded) Unwrap() error { return r.rule }

// split splits arguments into names and values, and refuses unknown and
// repeated names.
func split(args []string) ([]argument, error) {
	given := make([]argument, 0, len(args))
	for _, arg := range args {
		// JSON on the control socket could not carry it unchanged.
		if !utf8.ValidString(arg) {
			return nil, fmt.Errorf("argument %q: want UTF-8", arg)
		}
		key, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, fmt.Errorf("argument %q: want PARAMETER=VALUE", arg)
		}
		d := find(canonical(key))
		if d == nil {
			return nil, fmt.Errorf("parameter %q: unknown: want one of %s", key, knownNames())
		}
		for _, a := range given {
			if a.definition == d {
				return nil, fmt.Errorf("parameter %s: given twice, %q and %q: want one list", d.Name, a.value, value)
			}
		}
		given = append(given, argument{d, value})
	}
	return given, nil
}

func knownNames() string {
	var all []string
	for _, d := range table {
		all = append(all, d.Name)
	}
	return strings.Join(all, ", ")
}

// names returns an entry for each non-empty position of name=, and the number
// of positions.
func names(given []argument) (entries []entry, count int, err error) {
	i := slices.IndexFunc(given, func(a argument) bool { return a.Name == "name" })
	if i >= 0 {
		for name := range strings.SplitSeq(given[i].value, ",") {
			count++
			if name != "" {
				entries = append(entries, entry{position: count, given: make(map[string]string)})
			}
		}
	}
	if len(entries) == 0 {
		return nil, 0, ErrNoName
	}
	return entries, count, given[i].apply(entries, count)
}

// apply passes the entries of a list to the interfaces.
func (a argument) apply(entries []entry, count int) error {
	if a.value == "" {
		return nil
	}
	values := strings.Split(a.value, ",")
	if len(values) > count {
		return fmt.Errorf("parameter %s: %d entries: want at most %d, one for each entry of name", a.Name, len(values), count)
	}
	for i := range entries {
		e := &entries[i]
		if e.position > len(values) {
			break
		}
		value := values[e.position-1]
		if value == "" {
			continue
		}
		e.given[a.Name] = value
		if err := a.entry(&e.Interface, value); err != nil {
			return e.wrong(a.Name, err)
		}
	}
	return nil
}

// applyGlobal passes the value of a global parameter to the load.
func (a argument) applyGlobal(load *config.Load) error {
	if err := a.global(load, a.value); err != nil {
		return a.wrong(err)
	}
	return nil
}

// wrong adds the global parameter to an error.
func (a argument) wrong(err error) error {
	return fmt.Errorf("parameter %s %q: %w", a.Name, a.value, err)
}

// wrong adds the parameter and its entry to an error.
func (e *entry) wrong(parameter string, err error) error {
	if parameter == "name" {
		return fmt.Errorf("parameter name, entry %d %q: %w", e.position, e.given["name"], err)
	}
	return fmt.Errorf("parameter %s, entry %d %q (interface %s): %w", parameter, e.position, e.given[parameter], e.Name, err)
}
