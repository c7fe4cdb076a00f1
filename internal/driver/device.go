package driver

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/tuntap"
)

// aliasPrefix begins the link alias of every interface of ours.
const aliasPrefix = "muennet "

// childAlias tells a child apart; name is the one it was added by.
func childAlias(p *parent, name string) string {
	return fmt.Sprintf("%schild=%s of in=%s out=%s", aliasPrefix, name, p.cfg.In, p.cfg.Out)
}

// aliasOf is how an interface is told apart from others: by what it is bound to.
func aliasOf(i Interface) string {
	return fmt.Sprintf("%sin=%s out=%s", aliasPrefix, i.In, i.Out)
}

// openDevice takes over what a crashed process left of this interface, or makes
// it anew.
func (d *Driver) openDevice(p *parent) (dev *tuntap.Device, adopted bool, err error) {
	if dev, err = d.adopt(p); err != nil {
		return nil, false, err
	}
	adopted = dev != nil
	if !adopted {
		if dev, err = tuntap.Open(p.deviceConfig()); err != nil {
			return nil, false, err
		}
	}
	if p.offload, err = openOffload(dev, p.offloads()); err != nil {
		dev.Close()
		return nil, false, err
	}
	// With carrier=admin it stays on, and no one sees it while the interface is
	// down. Were it set only after "up", the kernel would drop what is sent in
	// between.
	err = dev.SetCarrier(p.cfg.Carrier == CarrierAdmin)
	if err == nil && !adopted {
		err = configure(dev, p.alias, p.cfg.MTU, p.hardwareAddr())
	}
	if err != nil {
		dev.Close()
		return nil, false, err
	}
	return dev, adopted, nil
}

// offloads tells whether segmentation offload is wanted and possible.
func (p *parent) offloads() bool {
	return !p.cfg.NoOffload && p.cfg.Format != element.Raw
}

func (p *parent) deviceConfig() tuntap.Config {
	// Marks need queues. The device has them also where marks cannot be had now:
	// it may outlive this process, and the kernel that it runs on does not.
	cfg := tuntap.Config{Name: p.cfg.Name, Kind: tuntap.TUN, PacketInfo: p.cfg.Format == element.Raw, MultiQueue: p.cfg.Format == element.NetHdr, VnetHdr: p.offloads()}
	if p.cfg.Format == element.EthDev {
		cfg.Kind = tuntap.TAP
	}
	return cfg
}

// configure gives a new device of the calling thread's namespace what it keeps:
// alias, MTU, a TAP its hardware address; and last persistence, so that an error
// before it leaves nothing.
func configure(dev *tuntap.Device, alias string, mtu int, mac net.HardwareAddr) error {
	index, err := dev.Index()
	if err != nil {
		return err
	}
	handle, err := link.Open(-1)
	if err != nil {
		return err
	}
	defer handle.Close()
	if err := handle.SetAlias(index, alias); err != nil {
		return err
	}
	if err := handle.SetMTU(index, max(mtu, minMTU)); err != nil {
		return err
	}
	if mac != nil {
		if err := dev.SetHardwareAddr(mac); err != nil {
			return err
		}
	}
	return dev.SetPersist(true)
}

// hardwareAddr is that of an Ethernet interface, nil for the others.
func (p *parent) hardwareAddr() net.HardwareAddr {
	switch {
	case p.cfg.Format != element.EthDev:
		return nil
	case p.cfg.HardwareAddr != nil:
		return p.cfg.HardwareAddr
	}
	return stableAddr(p.alias)
}

// stableAddr derives a locally administered unicast address from this machine
// and what the interface is bound to.
func stableAddr(alias string) net.HardwareAddr {
	h := sha256.New()
	h.Write(machineID())
	h.Write([]byte(alias))
	mac := net.HardwareAddr(h.Sum(nil)[:6])
	mac[0] = mac[0]&^0x01 | 0x02 // IEEE 802: not a group address, locally administered
	return mac
}

// machineID identifies this machine, see machine-id(5). A machine without one
// still gets addresses that stay, but another one with the same channel names
// gets the same.
func machineID() []byte {
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		if id, err := os.ReadFile(path); err == nil && len(id) > 0 {
			return id
		}
	}
	return nil
}

// adopt looks for the device that a crashed process left behind: in this
// namespace by its alias, elsewhere by the state file. nil without an error:
// there is none.
func (d *Driver) adopt(p *parent) (*tuntap.Device, error) {
	dev, err := adoptHere(p, func(s link.State) bool { return s.Alias == p.alias })
	if dev != nil || err != nil {
		return dev, err
	}
	for _, r := range d.left {
		if r.Alias != p.alias {
			continue
		}
		err := r.visit(func(wanted func(link.State) bool) (err error) {
			dev, err = adoptHere(p, wanted)
			return err
		})
		if dev != nil || err != nil {
			return dev, err
		}
	}
	return nil, nil
}

// visit calls f in the namespace of the place, where wanted picks its device.
// Without such a namespace it does nothing.
func (r place) visit(f func(wanted func(link.State) bool) error) error {
	fd, found := openNetNS(r.NetNS)
	if !found {
		return nil
	}
	defer unix.Close(fd)
	return link.InNetNS(fd, func() error {
		return f(func(s link.State) bool { return s.Alias == r.Alias && s.Index == r.Index })
	})
}

// exists tells whether the device is still where it was.
func (r place) exists() (found bool) {
	// In doubt it is not forgotten.
	return r.visit(func(wanted func(link.State) bool) error {
		states, err := leftBehind(wanted)
		found = len(states) > 0
		return err
	}) != nil || found
}

// adoptHere takes over the device of this namespace that wanted picks. One that
// another process serves is not ours; one of another kind is removed: it was
// left by another load of the same channels.
func adoptHere(p *parent, wanted func(link.State) bool) (*tuntap.Device, error) {
	states, err := leftBehind(wanted)
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		cfg := p.deviceConfig()
		cfg.Name, cfg.Adopt = s.Name, true
		if (cfg.Kind == tuntap.TAP) != (len(s.HardwareAddr) > 0) {
			if err := removeDevice(s); err != nil {
				return nil, err
			}
			continue
		}
		dev, err := tuntap.Open(cfg)
		if errors.Is(err, tuntap.ErrNameTaken) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := dev.SetPersist(true); err != nil {
			dev.Close()
			return nil, err
		}
		return dev, nil
	}
	return nil, nil
}

// leftBehind lists this namespace's TUN/TAP devices of ours that wanted picks.
func leftBehind(wanted func(link.State) bool) ([]link.State, error) {
	handle, err := link.Open(-1)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	all, err := handle.List()
	if err != nil {
		return nil, err
	}
	var found []link.State
	for _, s := range all {
		if s.Kind == "tun" && strings.HasPrefix(s.Alias, aliasPrefix) && wanted(s) {
			found = append(found, s)
		}
	}
	return found, nil
}

// removeDevice removes a device that no process serves; one that is served is
// left alone.
func removeDevice(s link.State) error {
	cfg := tuntap.Config{Name: s.Name, Kind: tuntap.TUN, Adopt: true, MultiQueue: true}
	if len(s.HardwareAddr) > 0 {
		cfg.Kind, cfg.MultiQueue = tuntap.TAP, false
	}
	dev, err := tuntap.Open(cfg)
	if errors.Is(err, unix.EINVAL) { // a TUN without queues: raw mode
		cfg.MultiQueue = false
		dev, err = tuntap.Open(cfg)
	}
	if err != nil {
		return err
	}
	defer dev.Close()
	return dev.SetPersist(false)
}

// Forget removes the interfaces that a crashed process left behind: those of
// this namespace, and those the state file knows elsewhere. It returns their
// names. Interfaces that a process serves are left alone.
func Forget(state string) (names []string, err error) {
	file := stateFile{path: state}
	records, err := file.read()
	if err != nil {
		return nil, err
	}
	sweep := func(wanted func(link.State) bool) error {
		states, err := leftBehind(wanted)
		if err != nil {
			return err
		}
		for _, s := range states {
			switch err := removeDevice(s); {
			case err == nil:
				names = append(names, s.Name)
			case !errors.Is(err, tuntap.ErrNameTaken):
				return err
			}
		}
		return nil
	}
	if err := sweep(func(link.State) bool { return true }); err != nil {
		return names, err
	}
	for _, r := range places(records) {
		if err := r.visit(sweep); err != nil {
			return names, err
		}
	}
	return names, file.write(nil)
}
