package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/internal/pairing"
	"github.com/muennet/muennet/internal/params"
)

// autoWord stands for the interfaces of all pairs of channels. It may be
// anywhere in the arguments, because it cannot be a PARAM=VALUE.
const autoWord = "auto"

// autoHelp is the help on it.
const autoHelp = `auto creates an interface for each pair X|in and X|out in the channel directory:
net0, net1 and so on in alphabetical order of X, with flags=eth_dev and protocol
7ade5c549b08e814, unless the usual parameters say otherwise. A list of one entry
applies to all of them, but a single name or mac to the first only. X|out is read
and X|in written, unless the modes of the files allow only the opposite.`

// autoConfig holds the flags that go with the word auto.
type autoConfig struct {
	strict, dryRun bool
}

func (o *autoConfig) flags(c *cobra.Command) {
	c.Flags().BoolVar(&o.strict, "strict", false, "with auto: fail if there is half a pair, or a pair that cannot be used")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "with auto: list what would be loaded, and do nothing")
}

// request is the load that the arguments ask for.
type request struct {
	args        []string     // complete: without the word auto
	load        muennet.Load // the parsed args
	channels    string       // directory, if given or used by auto
	pairing.Set              // found by auto: a pair for each interface of load
}

// request parses the arguments of a load. With the word auto, it finds the
// channels in the channel directory.
func (a *app) request(args []string, o autoConfig) (r request, err error) {
	r.args, r.channels = args, a.channels
	if slices.Contains(args, autoWord) {
		if r, err = a.auto(args, o); err != nil {
			return r, err
		}
	} else if o.strict || o.dryRun {
		return r, usagef("--strict and --dry-run: only with %s", autoWord)
	}
	if r.load, err = muennet.ParseLoad(r.args...); err != nil {
		return r, usageError{err}
	}
	return r, nil
}

// auto completes arguments with the word auto.
func (a *app) auto(args []string, o autoConfig) (request, error) {
	// A running muennet may use another directory by default.
	r := request{channels: a.directory()}
	args = slices.DeleteFunc(slices.Clone(args), func(s string) bool { return s == autoWord })
	set, err := pairing.Find(r.channels)
	if err != nil {
		return r, err
	}
	if r.args, err = params.Auto(args, set.Pairs); err != nil {
		return r, usageError{err}
	}
	r.Set = set
	return r, nil
}

// settle lists a request for --dry-run, checks it for --strict, and passes what
// was skipped to tell. If done is true, the request must not be carried out.
func (a *app) settle(r request, o autoConfig, tell func(pairing.Skipped)) (done bool, err error) {
	if o.dryRun {
		if err := a.list(r); err != nil {
			return true, err
		}
	}
	if o.strict && len(r.Skipped) > 0 {
		return true, fmt.Errorf("pair channels in %s: nothing is loaded because of --strict: %s", r.channels, pairing.Join(r.Skipped))
	}
	if o.dryRun {
		return true, nil
	}
	for _, s := range r.Skipped {
		tell(s)
	}
	return false, nil
}
