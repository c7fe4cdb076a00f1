package driver

import (
	"crypto/sha256"
	"net"
	"os"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/shortage"
)

// hardwareAddr returns the address of an Ethernet interface; nil: it is none.
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

// stableAddr derives a locally administered unicast address from a machine id
// and an alias.
func stableAddr(machine []byte, alias string) net.HardwareAddr {
	h := sha256.New()
	h.Write(machine)
	h.Write([]byte(alias))
	mac := net.HardwareAddr(h.Sum(nil)[:6])
	mac[0] = mac[0]&^0x01 | 0x02 // IEEE 802: not a group address, locally administered
	return mac
}

// machineID returns the id of this machine, see machine-id(5). Machines without
// one have stable addresses, too, but the same ones for the same channel names.
// The only error is a shortage: without the id the address would be a different
// one.
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
