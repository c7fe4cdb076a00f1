package driver

import (
	"errors"
	"strings"
	"testing"

	"github.com/muennet/muennet/internal/tuntap"
)

// TestTakenName: the error says what holds the name. Only what muennet has
// nothing to do with may be deleted.
func TestTakenName(t *testing.T) {
	l := newLab(t)
	d, other := l.driver(), l.driver()
	other.opt.State = ""
	l.mustLoad(d, netHdr("net0"))
	must(t, d.AddChild("net0", "child0"))
	l.ns.MustRun("ip", "tuntap", "add", "tap0", "mode", "tap")
	l.ns.MustRun("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
	i := netHdr("")
	i.In, i.Out = "", "c"
	for _, c := range []struct {
		d          *Driver
		name, want string
		deletes    bool
	}{
		{d, "lo", "lo is the loopback interface: choose another name", false},
		{d, "child0", "child0 is a child of net0", false},
		{other, "net0", "net0 is an interface of another muennet (muennet in=a out=b): unload it there, or choose another name", false},
		{other, "child0", "child0 is an interface of another muennet (", false},
		{d, "tap0", `tap0 is a tun interface: choose another name, or delete it with "ip link delete tap0"`, true},
		{d, "v0", `v0 is a veth interface: choose another name, or delete it with "ip link delete v0"`, true},
	} {
		i.Name = c.name
		_, err := l.load(c.d, i)
		if !errors.Is(err, tuntap.ErrNameTaken) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "ip link delete") != c.deletes {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	for name, want := range map[string]string{
		"lo":     "lo is the loopback interface",
		"net0":   "net0 is an interface of this muennet, with in=a out=b",
		"child0": "child0 is a child of net0",
		"v0":     "ip link delete v0",
	} {
		if err := d.AddChild("net0", name); !errors.Is(err, tuntap.ErrNameTaken) || !strings.Contains(err.Error(), want) {
			t.Errorf("child %s: %v, want %s", name, err, want)
		}
	}
}
