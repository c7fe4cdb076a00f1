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
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/shortage"
	"github.com/muennet/muennet/internal/tuntap"
)

// The link alias of every interface of ours begins with one of these.
const (
	parentAlias = "muennet in="
	kidAlias    = "muennet child="
)

// maxAlias is how many bytes the kernel takes: IFALIASZ of include/uapi/linux/
// if.h, less the NUL.
const maxAlias = 255

// aliasOf is how an interface is told apart from others: by what it is bound to.
func aliasOf(i Interface) string {
	return fitAlias(parentAlias + i.In + " out=" + i.Out)
}

// childAlias tells a child apart; name is the one it was added by.
func childAlias(p *parent, name string) string {
	return fitAlias(fmt.Sprintf("%s%s of in=%s out=%s", kidAlias, name, p.cfg.In, p.cfg.Out))
}

// isAlias tells whether an alias is one of ours.
func isAlias(alias string) bool {
	return strings.HasPrefix(alias, parentAlias) || strings.HasPrefix(alias, kidAlias)
}

// fitAlias shortens what is too long, and keeps it different from all others.
func fitAlias(alias string) string {
	if len(alias) <= maxAlias {
		return alias
	}
	rest := fmt.Sprintf("#%x", sha256.Sum256([]byte(alias)))
	return alias[:maxAlias-len(rest)] + rest
}

// openDevice takes over what a crashed process left of this interface, or makes
// it anew.
func (d *Driver) openDevice(p *parent) (dev *tuntap.Device, adopted bool, err error) {
	mac, err := p.hardwareAddr()
	if err != nil {
		return nil, false, err
	}
	if dev, err = d.adopt(p); err != nil {
		return nil, false, err
	}
	adopted = dev != nil
	switch {
	// The same load as before keeps what the administrator has called it since.
	case adopted && p.cfg.Name != d.asked(p.alias) && !strings.Contains(p.cfg.Name, "%"):
		p.rename = true
	case !adopted:
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
	err = dev.SetCarrier(p.cfg.Carrier == config.CarrierAdmin)
	if err == nil && !adopted {
		err = configure(dev, p.alias, p.cfg.MTU, mac)
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

// giveName renames an adopted device to what the load asks for.
func (p *parent) giveName() error {
	if !p.rename || p.name() == p.cfg.Name {
		return nil
	}
	was := p.name()
	err := p.setName(p.cfg.Name)
	switch {
	case err == nil:
		p.was = was
		return nil
	case errors.Is(err, unix.EEXIST):
		return fmt.Errorf("take over %s, which a crash left of these channels: %w: %w: choose another name, or remove that interface", was, tuntap.ErrNameTaken, err)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("take over %s, which a crash left of these channels: %w: before Linux 6.2 it has to be down: \"ip link set %s down\"", was, err, was)
	}
	return fmt.Errorf("take over %s, which a crash left of these channels: %w", was, err)
}

// setName renames the interface where it is.
func (f *followed) setName(name string) error {
	f.mu.Lock()
	err := f.ask(func(h *link.Handle, index int) error { return h.SetName(index, name) })
	f.mu.Unlock()
	return errors.Join(err, f.refresh())
}

// undo ends an interface whose load has failed. One that was there before stays,
// with the name it had.
func (p *parent) undo() {
	if p.was != "" {
		if err := p.setName(p.was); err != nil {
			p.log.Warn("interface keeps its new name", "was", p.was, "err", err)
		}
	}
	p.close(p.adopted)
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

// restoreAlias gives a device of this namespace our alias again where it has
// none. Another one stays: it may be the note of a program that reads it later, as
// container runtimes keep an interface's old name there.
func (l leftover) restoreAlias(alias string) error {
	if l.state.Alias != "" {
		return nil
	}
	handle, err := link.Open(-1)
	if err != nil {
		return err
	}
	defer handle.Close()
	return handle.SetAlias(l.state.Index, alias)
}

// hardwareAddr is that of an Ethernet interface, nil for the others.
func (p *parent) hardwareAddr() (net.HardwareAddr, error) {
	switch {
	case p.cfg.Format != element.EthDev:
		return nil, nil
	case p.cfg.HardwareAddr != nil:
		return p.cfg.HardwareAddr, nil
	}
	id, err := machineID()
	return stableAddr(id, p.alias), err
}

// stableAddr derives a locally administered unicast address from a machine and
// what the interface is bound to.
func stableAddr(machine []byte, alias string) net.HardwareAddr {
	h := sha256.New()
	h.Write(machine)
	h.Write([]byte(alias))
	mac := net.HardwareAddr(h.Sum(nil)[:6])
	mac[0] = mac[0]&^0x01 | 0x02 // IEEE 802: not a group address, locally administered
	return mac
}

// machineID identifies this machine, see machine-id(5). A machine without one
// still gets addresses that stay, but another one with the same channel names
// gets the same. An error is a shortage, after which the address would be another.
func machineID() ([]byte, error) {
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		id, err := os.ReadFile(path)
		if err == nil && len(id) > 0 {
			return id, nil
		}
		if shortage.Is(err) {
			return nil, err
		}
	}
	return nil, nil
}
