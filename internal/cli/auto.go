package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/internal/pairing"
	"github.com/muennet/muennet/internal/params"
)

// autoWord stands for the interfaces of all pairs of channels. It is no
// PARAM=VALUE and thus nothing else, wherever it comes in the arguments.
const autoWord = "auto"

// autoHelp is what the commands that know the word say of it.
const autoHelp = `With the word auto there is an interface for each X|in and X|out of the channel
directory: net0, net1 and so on in alphabetical order of X, with flags=eth_dev
and protocol 7ade5c549b08e814, each overridden by the usual parameters. A list
of one entry counts for all of them, but a single name or mac for the first.
X|out is read and X|in written, unless by the mode of the files only one of them
may be written.`

// autoConfig is what the user wants of the word auto.
type autoConfig struct {
	strict, dryRun bool
}

func (o *autoConfig) flags(c *cobra.Command) {
	c.Flags().BoolVar(&o.strict, "strict", false, "with auto: fail if half a pair, or one that cannot be used, is there")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "with auto: list what would be done, and do nothing")
}

// request is a load as the arguments ask for it.
type request struct {
	args        []string     // complete: without the word auto
	load        muennet.Load // what they say
	channels    string       // directory, where the arguments are about a certain one
	pairing.Set              // what auto has found: a pair for each interface of load
}

// request reads the arguments of a load. With the word auto the names of
// channels come from the channel directory.
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
	// A running muennet may have another directory: it is told this one.
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

// settle does what is to be done about a request before it is carried out, which
// it is not when done: then the user only wanted to know, or does not want it.
// What was skipped goes to tell.
func (a *app) settle(r request, o autoConfig, tell func(pairing.Skipped)) (done bool, err error) {
	if o.dryRun {
		if err := a.list(r); err != nil {
			return true, err
		}
	}
	if o.strict && len(r.Skipped) > 0 {
		return true, fmt.Errorf("pair channels in %s: nothing is loaded, for --strict: %s", r.channels, pairing.Join(r.Skipped))
	}
	if o.dryRun {
		return true, nil
	}
	for _, s := range r.Skipped {
		tell(s)
	}
	return false, nil
}
