package muennet

import (
	"github.com/muennet/muennet/internal/pairing"
	"github.com/muennet/muennet/internal/params"
	"github.com/muennet/muennet/internal/region"
)

// AutoConfig says where Auto looks. The zero value means the channel directory
// of the system: /muenfs if a muenfs is mounted there, otherwise
// /dev/shm/muennet.
type AutoConfig struct {
	// Channels is the directory.
	Channels string
	// Parameters override the choices of Auto, each "PARAM=VALUE" as for
	// the command `muennet load auto`: "mtu=1500,9000". A program may also
	// change the Load.
	Parameters []string
}

// Skipped is a name X for which Auto makes no interface, with the reason: only
// one of X|in and X|out exists, neither may be written, or no parameter can
// contain the name.
type Skipped struct {
	// Name is the X of X|in and X|out; any bytes a file name may have.
	Name string
	// Reason says in a few words what is wrong.
	Reason string
}

// String returns the name, quoted if it would break the line, and the reason.
func (s Skipped) String() string { return pairing.Skipped(s).String() }

// ErrNoPair is wrapped by the error of Auto if the directory holds no usable
// pair of channels.
var ErrNoPair = pairing.ErrNone

// Auto returns a Load with an interface for each X|in and X|out in a directory:
// net0, net1 and so on in alphabetical order of X, with Ethernet frames and the
// protocol id of Solo5/MirageOS unikernels. X|out is read and X|in written,
// because the names are from the unikernel's point of view. If, by their modes,
// only one of the two files may be written, that one is written and the other
// read.
//
// Auto only looks at the directory:
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
// Auto also returns the skipped names on error. Whether they are an error is up
// to the caller.
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
