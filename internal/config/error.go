package config

import "fmt"

// Error says which field of a configuration breaks a rule.
type Error struct {
	// Index is the position of the interface in Load.Interfaces, -1 if the
	// field belongs to the Load itself.
	Index int
	// Interface is the name of that interface.
	Interface string
	// Field is the name of the field, such as "MTU".
	Field string
	// Value is what the field holds.
	Value any
	// Allowed says what is wrong and what is allowed, such as "want 68 to
	// 65535 for net_hdr".
	Allowed string
}

// Error returns the error as text, such as "interface net0: MTU 5: want 68 to
// 65535 for net_hdr".
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
