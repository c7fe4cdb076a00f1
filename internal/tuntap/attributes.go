package tuntap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/muennet/muennet/internal/link"
	"golang.org/x/sys/unix"
)

// control calls f with the descriptor, which stays open until f returns, and
// adds verb to its error.
func (d *Device) control(verb string, f func(fd int) error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return fmt.Errorf("%s: %w", verb, os.ErrClosed)
	}
	err := f(d.fd)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EBADFD):
		return fmt.Errorf("%s: %w", verb, ErrGone)
	}
	return fmt.Errorf("%s: %w", verb, err)
}

// Name returns the current name of the interface.
func (d *Device) Name() (string, error) {
	var req ifreq
	err := d.control("read interface name", func(fd int) error {
		return ioctl(fd, unix.TUNGETIFF, &req)
	})
	if err != nil {
		return "", err
	}
	name, _, _ := bytes.Cut(req.name[:], []byte{0})
	return string(name), nil
}

// NetNS opens the current network namespace of the interface. The caller closes
// the descriptor. It is -1 on a kernel without CONFIG_NET_NS.
func (d *Device) NetNS() (fd int, err error) {
	err = d.control("open namespace of interface", func(dev int) (err error) {
		// SIOCGSKNS opens the namespace in which the device was opened.
		fd, err = ioctlFD(dev, unix.TUNGETDEVNETNS)
		if err == unix.EINVAL && !link.HasNetNS() {
			return nil
		}
		return err
	})
	if err != nil {
		return -1, err
	}
	return fd, nil
}

// Index returns the index of the interface in its current namespace.
func (d *Device) Index() (int, error) {
	for {
		index, same, err := d.index()
		if err != nil || same {
			return index, err
		}
	}
}

// index looks up the index by name, because the device does not report it. same
// reports whether name and namespace stayed the same: otherwise the index may
// belong to another interface.
func (d *Device) index() (index int, same bool, err error) {
	before, err := d.location()
	if err != nil {
		return 0, false, err
	}
	defer unix.Close(before.netns)
	lookup := link.InNetNS(before.netns, func() error {
		index, err = indexByName(before.name)
		return err
	})
	after, err := d.location()
	if err != nil {
		return 0, false, err
	}
	defer unix.Close(after.netns)
	if before.name != after.name || link.NSID(before.netns) != link.NSID(after.netns) {
		return 0, false, nil
	}
	if lookup != nil {
		return 0, false, fmt.Errorf("read index of interface %q: %w", after.name, lookup)
	}
	return index, true, nil
}

// location is where an interface can be found.
type location struct {
	name  string
	netns int // to be closed
}

func (d *Device) location() (l location, err error) {
	if l.name, err = d.Name(); err != nil {
		return l, err
	}
	l.netns, err = d.NetNS()
	return l, err
}

// indexByName returns the index of an interface in the namespace of the calling
// thread.
func indexByName(name string) (int, error) {
	// Any socket will do, but a kernel may lack AF_UNIX.
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	var req ifreq
	copy(req.name[:], name)
	if err := ioctl(fd, unix.SIOCGIFINDEX, &req); err != nil {
		return 0, err
	}
	return int(binary.NativeEndian.Uint32(req.data[:])), nil
}

// SetPersist sets whether the interface outlives Close and the process. A
// persistent interface belongs to the effective user of the process: only that
// user, or a process with CAP_NET_ADMIN, can attach to it.
func (d *Device) SetPersist(persist bool) error {
	return d.control("set persistence of interface", func(fd int) error {
		if persist {
			// Without an owner, any user who can open /dev/net/tun can attach to the
			// interface: often every user.
			if err := unix.IoctlSetInt(fd, unix.TUNSETOWNER, os.Geteuid()); err != nil {
				return fmt.Errorf("set owner: %w", err)
			}
		}
		return unix.IoctlSetInt(fd, unix.TUNSETPERSIST, flag(persist))
	})
}

// SetCarrier sets the carrier of the interface, which is on after Open. It
// needs Linux 5.0.
func (d *Device) SetCarrier(carrier bool) error {
	return d.control("set carrier of interface", func(fd int) error {
		return unix.IoctlSetPointerInt(fd, unix.TUNSETCARRIER, flag(carrier))
	})
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// HardwareAddr returns the Ethernet address of a TAP. For a TUN the error wraps
// errors.ErrUnsupported.
func (d *Device) HardwareAddr() (net.HardwareAddr, error) {
	var req ifreq
	err := d.control("read hardware address", func(fd int) error {
		if d.cfg.Kind != TAP {
			return unix.EOPNOTSUPP
		}
		return ioctl(fd, unix.SIOCGIFHWADDR, &req)
	})
	if err != nil {
		return nil, err
	}
	return req.data[2 : 2+hardwareAddrLen : 2+hardwareAddrLen], nil
}

// SetHardwareAddr sets the Ethernet address of a TAP, up or down. The address
// must have 6 bytes and be neither zero nor a group address. For a TUN the
// error wraps errors.ErrUnsupported.
func (d *Device) SetHardwareAddr(addr net.HardwareAddr) error {
	return d.control(fmt.Sprintf("set hardware address %v", addr), func(fd int) error {
		switch {
		case d.cfg.Kind != TAP:
			return unix.EOPNOTSUPP
		case len(addr) != hardwareAddrLen:
			return fmt.Errorf("it has %d bytes, not %d", len(addr), hardwareAddrLen)
		}
		// struct sockaddr: family, then the address.
		var req ifreq
		binary.NativeEndian.PutUint16(req.data[:], unix.ARPHRD_ETHER)
		copy(req.data[2:], addr)
		return ioctl(fd, unix.SIOCSIFHWADDR, &req)
	})
}

const hardwareAddrLen = 6

// Gone reports whether the interface was deleted. It is false for a closed
// Device.
func (d *Device) Gone() bool {
	_, err := d.Name()
	return errors.Is(err, ErrGone)
}
