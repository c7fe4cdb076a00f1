// Package params reads the parameter syntax of the muennet kernel module, and
// writes what modinfo would print about it.
//
// A load is a list of PARAMETER=VALUE arguments. Most values are lists: entries
// separated by commas, one per interface, in the order of name=. An entry may
// be empty, and a list may be shorter than name=: both mean the default. An
// empty entry of name= skips that position in all lists.
//
//	name=net0,net1 in=a,c out=b,d reader_protocol=12,2 writer_protocol=8,2 flags=net_hdr,net_hdr
//
// [Parse] turns such arguments into a [config.Load], [ModprobeOptions] and
// [ReadFile] take them from modprobe.d files. [Parameters] is the one table
// behind Parse and [Modinfo]: a parameter that is not in it does not exist.
//
// The package checks all that can be known from the text alone. It opens
// nothing and asks the system nothing: whether a channel exists, or a name is
// taken, turns out when the interface is made.
//
// All functions are pure (ReadFile reads one file) and may be called
// concurrently. They trust no input: any text gives a Config that keeps every
// rule, or an error that names the parameter, the entry and what is allowed.
//
// # Start
//
//	load, err := params.Parse([]string{"name=net0", "in=a", "out=b", "reader_protocol=2", "writer_protocol=2", "flags=net_hdr"})
package params
