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

// CommandLine is what a kernel command line says about interfaces.
type CommandLine struct {
	// Auto is that muennet.auto is there: an interface for each pair of channels,
	// as Auto makes it.
	Auto bool
	// Channels is the DIR of muennet.channels=DIR, the directory of the channels;
	// empty for the default.
	Channels string
	// Parameters are all other words muennet.PARAMETER=VALUE, without "muennet.",
	// as ParseLoad and AutoConfig take them.
	Parameters []string
	// Others are the words that are not about muennet, without their quotes.
	Others []string
}

// ParseCommandLine reads a kernel command line as modprobe does for a module: a
// '-' in a name counts as '_', double quotes keep blanks together, of a
// parameter given twice the last one counts, and what follows the word -- is
// not for us. It takes any text; ParseLoad says whether the parameters are
// right.
func ParseCommandLine(text string) CommandLine {
	return CommandLine(params.ParseCommandLine(text))
}

// ReadCommandLine is ParseCommandLine of the running kernel's, in
// /proc/cmdline.
func ReadCommandLine() (CommandLine, error) {
	c, err := params.ReadCommandLine()
	return CommandLine(c), err
}
