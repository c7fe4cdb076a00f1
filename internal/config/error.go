package config

import "fmt"

// Error says which field of a configuration breaks a rule.
type Error struct {
	// Index is the position in Load.Interfaces of the interface that is wrong;
	// -1 when a field of the Load itself is.
	Index int
	// Interface is the name of that interface.
	Interface string
	// Field is the name of the field, such as "MTU".
	Field string
	// Value is what the field holds.
	Value any
	// Allowed says what is wrong with the value and what is allowed, such as
	// "want 68 to 65535 for net_hdr".
	Allowed string
}

// Error returns one sentence, such as "interface net0: MTU 5: want 68 to 65535
// for net_hdr".
func (e *Error) Error() string {
	where := ""
	switch {
	case e.Index < 0:
	case e.Interface == "":
		where = fmt.Sprintf("interface %d of the load: ", e.Index)
	default:
		where = fmt.Sprintf("interface %s: ", e.Interface)
	}
	if s, ok := e.Value.(string); ok {
		return fmt.Sprintf("%s%s %q: %s", where, e.Field, s, e.Allowed)
	}
	return fmt.Sprintf("%s%s %v: %s", where, e.Field, e.Value, e.Allowed)
}
