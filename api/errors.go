package api

import "errors"

// The reasons for refusing a request that a program can act on. Errors of
// packages muennet and client wrap them: use errors.Is. The texts are parts of
// sentences.
var (
	ErrUnknown  = errors.New("no such interface here")                     // muennet has no interface of that name
	ErrChild    = errors.New("is a child of")                              // a child is named where none is allowed
	ErrHeld     = errors.New("is held by")                                 // another or the same child already holds the mark
	ErrNotHeld  = errors.New("is not a mark of")                           // the child does not hold the mark
	ErrZeroMark = errors.New("0 stands for no mark: want 1 to 4294967295") // a mark is 0
	ErrClosed   = errors.New("muennet is closed")                          // the Net is closed, or muennet is ending
	ErrLoaded   = errors.New("is loaded already")                          // a load differs from what is loaded
	ErrInUse    = errors.New("interfaces are in use")                      // ShutdownRequest.Idle: there are some
)

// Error is the body of every unsuccessful answer.
type Error struct {
	// Error is the reason, one line for display.
	Error string `json:"error"`
	// Code identifies the Err variable that the reason wraps, for programs:
	// "unknown", "child", "held", "not_held", "zero_mark", "closed",
	// "loaded" or "in_use". Absent: none of them; only the HTTP status is known.
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
	{"loaded", ErrLoaded},
	{"in_use", ErrInUse},
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

// ErrorOf returns the Err variable for a code; nil if the code is unknown, such
// as one of a later version.
func ErrorOf(code string) error {
	for _, c := range codes {
		if c.code == code {
			return c.err
		}
	}
	return nil
}
