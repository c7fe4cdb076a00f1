package muennet

import "github.com/muennet/muennet/internal/params"

// ParseLoad parses the parameters of a load in the syntax of the kernel module
// and of the command `muennet load`: one PARAMETER=VALUE each, lists separated
// by commas, as in
//
//	muennet.ParseLoad("name=net0", "in=a", "out=b", "flags=net_hdr", "reader_protocol=2", "writer_protocol=2")
//
// An error names the parameter, its entry and what is allowed; the Load is then
// empty.
func ParseLoad(parameters ...string) (Load, error) {
	c, err := params.Parse(parameters)
	return loadOf(c), err
}
