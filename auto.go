package muennet

import (
	"github.com/muennet/muennet/internal/pairing"
	"github.com/muennet/muennet/internal/params"
	"github.com/muennet/muennet/internal/region"
)

// AutoConfig says where Auto looks. The zero value is the channel directory of
// the system: /muenfs where a muenfs is mounted, else /dev/shm/muennet.
type AutoConfig struct {
	// Channels is the directory.
	Channels string
	// Parameters override what Auto chooses, each "PARAM=VALUE" as for the
	// command `muennet load auto`: "mtu=1500,9000". A program may change the
	// Load instead.
	Parameters []string
}

// Skipped is a name X for which Auto makes no interface, with the reason: there
// is only one of X|in and X|out, neither may be written, or no parameter could
// name them.
type Skipped struct {
	// Name is the X of X|in and X|out; any bytes a file name may have.
	Name string
	// Reason is what is wrong with it, a few words.
	Reason string
}

// String returns the name, quoted if it would spoil a line, and the reason.
func (s Skipped) String() string { return pairing.Skipped(s).String() }

// ErrNoPair is what an error of Auto wraps when the directory holds no pair of
// channels that can be used.
var ErrNoPair = pairing.ErrNone

// Auto makes a Load with an interface for each X|in and X|out of a directory:
// net0, net1 and so on in alphabetical order of X, with Ethernet frames and the
// protocol id of Solo5/MirageOS unikernels. X|out is read and X|in written, as
// they are named from the unikernel's side; where only one of the two files may
// be written, by its mode, that one is written and the other read.
//
// It only looks at the directory:
//
//	load, skipped, err := muennet.Auto(muennet.AutoConfig{})
//	if err != nil {
//		return err
//	}
//	for _, s := range skipped {
//		log.Print("no interface for ", s)
//	}
//	n, err := muennet.Open(muennet.Config{Load: load})
//
// What was skipped is told on an error, too. Whether that is one is the
// caller's choice.
func Auto(cfg AutoConfig) (Load, []Skipped, error) {
	if cfg.Channels == "" {
		cfg.Channels = region.DefaultDir()
	}
	set, err := pairing.Find(cfg.Channels)
	var skipped []Skipped
	for _, s := range set.Skipped {
		skipped = append(skipped, Skipped(s))
	}
	if err != nil {
		return Load{}, skipped, err
	}
	args, err := params.Auto(cfg.Parameters, set.Pairs)
	if err != nil {
		return Load{}, skipped, err
	}
	load, err := ParseLoad(args...)
	if err != nil {
		return Load{}, skipped, err
	}
	load.Channels = cfg.Channels
	return load, skipped, nil
}
