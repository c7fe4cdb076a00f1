package daemon

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/internal/names"
)

// checkMember checks that a load by a member of the control group stays within
// the channels of dir: the daemon opens files as root, which a member is not.
func checkMember(l muennet.Load, dir string) error {
	if l.Channels != "" && filepath.Clean(l.Channels) != filepath.Clean(dir) {
		return forOwners("channels="+l.Channels, dir)
	}
	if l.Create != 0 {
		return forOwners(fmt.Sprintf("create=%d", l.Create), dir)
	}
	for _, i := range l.Interfaces {
		for _, r := range []struct{ parameter, name string }{{"in", i.In}, {"out", i.Out}, {"pmtu", i.PMTU}} {
			if r.name != "" && !plain(r.name) {
				return fmt.Errorf("interface %s: %w", i.Name, forOwners(r.parameter+"="+r.name, dir))
			}
		}
		if i.Force {
			return fmt.Errorf("interface %s: %w", i.Name, forOwners("force=1", dir))
		}
	}
	return nil
}

// plain reports whether name is that of a whole file in the channel directory.
func plain(name string) bool {
	c, err := names.ParseChannel(name)
	return err == nil && c.Plain()
}

func forOwners(what, dir string) error {
	return fmt.Errorf("%s: not allowed: members of the control group load channels of %s by their plain name; paths, windows, devices, create= and force=1 are for %s",
		what, dir, owners())
}

// owners names the users who may do everything, for messages.
func owners() string {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Sprintf("root and uid %d", uid)
	}
	return "root"
}
