package muennet

import (
	"fmt"

	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/params"
)

// LoadedError says that interfaces of a load are loaded already, with another
// configuration. It wraps ErrLoaded.
type LoadedError struct {
	// Differences has at least one entry; those of one interface follow each
	// other.
	Differences []Difference
}

// Difference is a field in which an interface that is loaded differs from the
// one that a load wants.
type Difference struct {
	// Interface is the name of the loaded interface.
	Interface string
	// Field is the name of a field of Interface or Load, such as "MTU".
	Field string
	// Loaded and Wanted are the two values, in the field's type, with defaults
	// filled in.
	Loaded, Wanted any
}

// Error names the interfaces and, in the words of the parameters, what differs:
// "net0 is loaded already with mtu=1500, not 1400".
func (e *LoadedError) Error() string {
	var internal config.LoadedError
	for _, d := range e.Differences {
		internal.Differences = append(internal.Differences, config.Difference(d))
	}
	return internal.Text(func(d config.Difference) string {
		name, loaded := params.Describe(d.Field, d.Loaded)
		_, wanted := params.Describe(d.Field, d.Wanted)
		return fmt.Sprintf("%s=%s, not %s", name, loaded, wanted)
	})
}

// Unwrap returns ErrLoaded.
func (e *LoadedError) Unwrap() error { return ErrLoaded }

func loadedError(e *config.LoadedError) *LoadedError {
	var public LoadedError
	for _, d := range e.Differences {
		public.Differences = append(public.Differences, Difference(d))
	}
	return &public
}
