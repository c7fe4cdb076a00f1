package api

import "errors"

// The reasons for which a request is refused, as far as a program can act on
// them. Errors of packages muennet and client wrap them: use errors.Is. The texts
// are parts of a sentence.
var (
	ErrUnknown  = errors.New("no such interface here")                     // none of that name is muennet's
	ErrChild    = errors.New("is a child of")                              // a child is named where none is wanted
	ErrHeld     = errors.New("is held by")                                 // the mark to be added has a child already
	ErrNotHeld  = errors.New("is not a mark of")                           // the mark to be deleted is not the child's
	ErrZeroMark = errors.New("0 stands for no mark: want 1 to 4294967295") // a mark is 0
	ErrClosed   = errors.New("muennet is closed")                          // the Net is closed, or muennet is ending
)

// Error is the body of every answer that is not a success.
type Error struct {
	// Error is the reason, one line for people.
	Error string `json:"error"`
	// Code stands for the Err variable that the reason wraps, for programs:
	// "unknown", "child", "held", "not_held", "zero_mark" or "closed". Absent:
	// none of them; the HTTP status is all there is to know.
	Code string `json:"code,omitempty"`
}

var codes = []struct {
	code string
	err  error
}{
	{"unknown", ErrUnknown},
	{"child", ErrChild},
	{"held", ErrHeld},
	{"not_held", ErrNotHeld},
	{"zero_mark", ErrZeroMark},
	{"closed", ErrClosed},
}

// CodeOf returns the Error.Code for an error that wraps one of the Err
// variables; "" if it wraps none.
func CodeOf(err error) string {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return ""
}

// ErrorOf returns the Err variable that a code stands for; nil if it is not
// known, as one of a later version.
func ErrorOf(code string) error {
	for _, c := range codes {
		if c.code == code {
			return c.err
		}
	}
	return nil
}
