package driver

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/tuntap"
)

// explainName adds to an error about a taken name what holds it, and what can
// be done, in the network namespace of netns, or with -1 in the calling
// thread's. Other errors it returns as they are.
func (d *Driver) explainName(name string, netns int, err error) error {
	if !errors.Is(err, tuntap.ErrNameTaken) {
		return err
	}
	state, e := byName(name, netns)
	if e != nil { // gone, or of a pattern such as net%d
		return err
	}
	return fmt.Errorf("%w: %s", err, d.whatHolds(state))
}

// explainChildName is explainName for a child of p.
func (d *Driver) explainChildName(p *parent, name string, err error) error {
	if !errors.Is(err, tuntap.ErrNameTaken) {
		return err
	}
	fd, e := p.dev.NetNS()
	if e != nil {
		return err
	}
	defer unix.Close(fd)
	return d.explainName(name, fd, err)
}

func byName(name string, netns int) (link.State, error) {
	handle, err := link.Open(netns)
	if err != nil {
		return link.State{}, err
	}
	defer handle.Close()
	return handle.ByName(name)
}

// holds tells whether p is the interface of that name in the calling thread's
// network namespace.
func holds(p *parent, name string) bool {
	state, err := byName(name, -1)
	return err == nil && state.Index == p.at().index
}

// whatHolds says what an interface in the way is. To delete it is advice only
// for one that muennet has nothing to do with, and that can be deleted.
func (d *Driver) whatHolds(s link.State) string {
	for _, p := range d.all() {
		if p.name() == s.Name && p.at().index == s.Index {
			return fmt.Sprintf("%s is an interface of this muennet, with in=%s out=%s", s.Name, p.cfg.In, p.cfg.Out)
		}
		if c := p.family.named(s.Name); c != nil && c.at().index == s.Index {
			return fmt.Sprintf("%s is a child of %s", s.Name, p.name())
		}
	}
	switch {
	case s.Name == "lo":
		return "lo is the loopback interface: choose another name"
	case isAlias(s.Alias):
		return fmt.Sprintf("%s is an interface of another muennet (%s): unload it there, or choose another name", s.Name, s.Alias)
	case s.Kind == "device": // of hardware, as a rule
		return fmt.Sprintf("%s is a network device: choose another name", s.Name)
	}
	return fmt.Sprintf("%s is a %s interface: choose another name, or delete it with \"ip link delete %s\"", s.Name, s.Kind, s.Name)
}
