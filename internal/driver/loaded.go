package driver

import (
	"slices"

	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/names"
	"github.com/muennet/muennet/internal/region"
)

// loaded finds the interfaces of cfg that are loaded already. names holds
// theirs, as the kernel knows them, and missing the indices of the others. An
// interface that is loaded otherwise is a [*config.LoadedError]. The caller
// holds change.
func (d *Driver) loaded(cfg Config) (loaded []string, missing []int, err error) {
	var differences []config.Difference
	rest := d.all() // each is the match of one interface at most
	for n := range cfg.Interfaces {
		p, differs := match(rest, alone(cfg, n))
		name := ""
		switch {
		case p == nil:
			missing = append(missing, n)
		case len(differs) > 0:
			differences = append(differences, differs...)
		default:
			name = p.name()
			rest = slices.DeleteFunc(rest, func(other *parent) bool { return other == p })
		}
		loaded = append(loaded, name)
	}
	if len(differences) > 0 {
		return nil, nil, &config.LoadedError{Differences: differences}
	}
	return loaded, missing, nil
}

// alone returns the nth interface of cfg in the form that is compared:
// alone, with the busy polling that it has on this machine.
func alone(cfg Config, n int) Config {
	cfg.BusyPoll = busyPoll(cfg)
	return cfg.Only(n)
}

// match returns the interface of all that a load means, nil if there is none:
// the one that it would make, else the one that has its name, else the one that
// writes its out-channel.
func match(all []*parent, want Config) (*parent, []config.Difference) {
	for _, p := range all {
		if len(p.differences(want)) == 0 {
			return p, nil
		}
	}
	i := want.Interfaces[0]
	for _, same := range []func(*parent) bool{
		func(p *parent) bool { return p.name() == i.Name && holds(p, i.Name) },
		func(p *parent) bool { return i.Out != "" && out(p.load) == out(want) },
	} {
		if n := slices.IndexFunc(all, same); n >= 0 {
			return all[n], all[n].differences(want)
		}
	}
	return nil, nil
}

// differences compares an interface with what a load wants. It may be called by
// the name that it was loaded with or by the one that it has now.
func (p *parent) differences(want Config) []config.Difference {
	now := p.name()
	loaded := p.load.Only(0)
	loaded.Interfaces = slices.Clone(loaded.Interfaces)
	if want.Interfaces[0].Name != loaded.Interfaces[0].Name {
		loaded.Interfaces[0].Name = now
	}
	differences := config.Differences(loaded, want)
	for n := range differences {
		differences[n].Interface = now
	}
	return differences
}

// out returns the channel that the only interface of cfg writes.
func out(cfg Config) names.Channel {
	c, _ := names.ParseChannel(cfg.Interfaces[0].Out) // it was validated, or is empty
	return c.In(cfg.Channels)
}

// only returns cfg with some of its interfaces.
func only(cfg Config, indices []int) Config {
	var some []Interface
	for _, n := range indices {
		some = append(some, cfg.Interfaces[n])
	}
	cfg.Interfaces = some
	return cfg
}

// createChannels makes the files of in and out channels that are missing, if
// cfg wants that. Path MTUs are none: the size of their region has a meaning.
func (d *Driver) createChannels(cfg Config) error {
	if cfg.Create == 0 {
		return nil
	}
	for _, i := range cfg.Interfaces {
		for _, name := range []string{i.In, i.Out} {
			if c, err := names.ParseChannel(name); err != nil || !c.Plain() {
				continue
			}
			made, err := region.CreateMissing(cfg.Channels, name, cfg.Create, region.DefaultMode)
			if err != nil {
				return err
			}
			if made {
				d.opt.Log.Info("channel created", "channel", name, "size", cfg.Create)
			}
		}
	}
	return nil
}
