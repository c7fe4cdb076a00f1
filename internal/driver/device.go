package driver

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/tuntap"
)

// openDevice adopts what a crashed process left of the interface, or creates
// it.
func (p *parent) openDevice() error {
	mac, err := p.hardwareAddr()
	if err != nil {
		return err
	}
	if err := p.adoptAnywhere(); err != nil {
		return err
	}
	if !p.adopted {
		return p.create(p.cfg.Name, mac)
	}
	// The same load as before keeps the name that the administrator has given it.
	if p.cfg.Name != p.d.loadedName(p.alias) && !strings.Contains(p.cfg.Name, "%") {
		p.newName = p.cfg.Name
	}
	return nil
}

// create makes the device in the calling thread's namespace. On an error ep has
// to be closed.
func (ep *endpoint) create(name string, mac net.HardwareAddr) (err error) {
	cfg := ep.deviceConfig()
	cfg.Name = name
	if ep.dev, err = tuntap.Open(cfg); err != nil {
		return err
	}
	if err := ep.prepare(); err != nil {
		return err
	}
	return configure(ep.dev, ep.alias, ep.cfg.MTU, mac)
}

// prepare sets what a device has for as long as it is open.
func (ep *endpoint) prepare() (err error) {
	if ep.offload, err = openOffload(ep.dev, ep.offloads()); err != nil {
		return err
	}
	return startCarrier(ep.dev, ep.cfg.Carrier)
}

// offloads reports whether segmentation offload is wanted and possible.
func (ep *endpoint) offloads() bool {
	return !ep.cfg.NoOffload && ep.cfg.Format != element.Raw
}

// deviceConfig returns what kind of device the interface needs. Marks need
// queues; the device has them also where marks are not carried now, as it may
// outlive this process and its privileges.
func (ep *endpoint) deviceConfig() tuntap.Config {
	cfg := tuntap.Config{Kind: tuntap.TUN, PacketInfo: ep.cfg.Format == element.Raw, MultiQueue: ep.cfg.Format == element.NetHdr, VnetHdr: ep.offloads()}
	if ep.cfg.Format == element.EthDev {
		cfg.Kind = tuntap.TAP
	}
	return cfg
}

// giveName gives an adopted device the name that the load asks for.
func (p *parent) giveName() error {
	old := p.name()
	if p.newName == "" || p.newName == old {
		return nil
	}
	err := p.rename(p.newName)
	switch {
	case err == nil:
		p.oldName = old
		return nil
	case errors.Is(err, unix.EEXIST):
		err = fmt.Errorf("%w: %w: choose another name, or remove that interface", tuntap.ErrNameTaken, err)
	case errors.Is(err, unix.EBUSY):
		err = fmt.Errorf("%w: before Linux 6.2 it has to be down: \"ip link set %s down\"", err, old)
	}
	return fmt.Errorf("adopt %s, which a crash left of these channels: %w", old, err)
}

// configure sets what a new device of the calling thread's namespace keeps:
// alias, MTU, the hardware address of a TAP. Persistence comes last, so that an
// error leaves no device behind.
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
