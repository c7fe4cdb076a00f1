// Package params parses the parameter syntax of the muennet kernel module, and
// writes the output of modinfo for it.
//
// A load is a list of PARAMETER=VALUE arguments. Most values are lists: entries
// separated by commas, one per interface, in the order of name=. An empty entry
// and a missing one at the end of the list both mean the default. An empty
// entry of name= skips that position in all lists.
//
//	name=net0,net1 in=a,c out=b,d reader_protocol=12,2 writer_protocol=8,2 flags=net_hdr,net_hdr
//
// [Parse] turns such arguments into a [config.Load]. [ModprobeOptions] and
// [ReadFile] extract them from modprobe.d files. [Parameters] is the only table
// of parameters, for both Parse and [Modinfo].
//
// The package checks everything that the text alone reveals. It opens no files
// and does not query the system: whether a channel exists or a name is taken is
// only known when the interface is created.
//
// All functions are pure (ReadFile reads one file) and may be called
// concurrently. They trust no input: any text gives a valid Load, or an error
// that names the parameter, the entry and what is allowed.
//
// # Start
//
//	load, err := params.Parse([]string{"name=net0", "in=a", "out=b", "reader_protocol=2", "writer_protocol=2", "flags=net_hdr"})
package params
