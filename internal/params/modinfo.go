package params

import (
	"bytes"
	"fmt"
	"io"
)

// modinfoColumn is the column where modinfo begins the values.
const modinfoColumn = 16

// Modinfo writes what modinfo prints about a module: one "field: value" per
// line, with values aligned, and one parm line per parameter. It returns the
// error of w.
func Modinfo(w io.Writer, version string) error {
	var out bytes.Buffer
	field := func(name, value string) {
		fmt.Fprintf(&out, "%-*s%s\n", modinfoColumn, name+":", value)
	}
	field("name", Module)
	field("description", "Network interfaces over one-way shared-memory channels (SHMStream version 2)")
	field("license", "Apache-2.0")
	field("version", version)
	for _, p := range Parameters() {
		field("parm", fmt.Sprintf("%s:%s (%s)", p.Name, p.Description, p.Type))
	}
	_, err := w.Write(out.Bytes())
	return err
}
