package config

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
)

// Difference is a field in which an interface that is loaded differs from the
// one that a load wants.
type Difference struct {
	Interface string // name of the loaded interface
	Field     string // such as "MTU"
	Loaded    any    // value of the loaded interface, in the field's type
	Wanted    any    // value of the load; defaults are filled in
}

// LoadedError says that interfaces of a load are loaded already, but otherwise.
type LoadedError struct {
	Differences []Difference // at least one; those of one interface follow each other
}

// Error names the interfaces and both values of each field.
func (e *LoadedError) Error() string {
	return e.Text(func(d Difference) string { return fmt.Sprintf("%s %v, not %v", d.Field, d.Loaded, d.Wanted) })
}

// Text is Error with other words for a difference.
func (e *LoadedError) Text(describe func(Difference) string) string {
	var text strings.Builder
	name := ""
	for n, d := range e.Differences {
		switch {
		case n > 0 && d.Interface == name:
			text.WriteString(", ")
		case n > 0:
			text.WriteString("; ")
			fallthrough
		default:
			fmt.Fprintf(&text, "%s is loaded already with ", d.Interface)
		}
		text.WriteString(describe(d))
		name = d.Interface
	}
	return text.String()
}

// Differences compares two loads of one interface each, loaded and wanted, and
// returns the fields that differ. A default equals the same value stated. The
// protocol id of an absent direction does not matter.
func Differences(loaded, wanted Load) []Difference {
	l, w := loaded.Interfaces[0], wanted.Interfaces[0]
	var all []Difference
	add := func(field string, same bool, a, b any) {
		if !same {
			all = append(all, Difference{l.Name, field, a, b})
		}
	}
	channel := func(field, a, b string) {
		x, y := loaded.channel(a), wanted.channel(b)
		if a == b { // in two directories
			add(field, x == y, x.Path, y.Path)
		} else {
			add(field, x == y, a, b)
		}
	}
	add("Name", l.Name == w.Name, l.Name, w.Name)
	channel("In", l.In, w.In)
	channel("Out", l.Out, w.Out)
	add("ReaderProtocol", w.In == "" || l.ReaderProtocol == w.ReaderProtocol, l.ReaderProtocol, w.ReaderProtocol)
	add("WriterProtocol", w.Out == "" || l.WriterProtocol == w.WriterProtocol, l.WriterProtocol, w.WriterProtocol)
	a, b := cmp.Or(l.MTU, DefaultMTU), cmp.Or(w.MTU, DefaultMTU)
	add("MTU", a == b, a, b)
	add("Format", l.Format == w.Format, l.Format, w.Format)
	channel("PMTU", l.PMTU, w.PMTU)
	add("Poll", loaded.PollAfter() == wanted.PollAfter(), loaded.PollAfter(), wanted.PollAfter())
	add("HardwareAddr", bytes.Equal(l.HardwareAddr, w.HardwareAddr), l.HardwareAddr, w.HardwareAddr)
	add("Carrier", l.Carrier == w.Carrier, l.Carrier, w.Carrier)
	add("NoOffload", l.NoOffload == w.NoOffload, l.NoOffload, w.NoOffload)
	add("BusyPoll", loaded.BusyPoll == wanted.BusyPoll, loaded.BusyPoll, wanted.BusyPoll)
	add("Renew", l.RenewAfter() == w.RenewAfter(), l.RenewAfter(), w.RenewAfter())
	add("Force", l.Force == w.Force, l.Force, w.Force)
	return all
}

// Only returns l with its nth interface alone.
func (l Load) Only(n int) Load {
	l.Interfaces = l.Interfaces[n : n+1 : n+1]
	return l
}
