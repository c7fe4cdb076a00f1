package tuntap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/names"
	"golang.org/x/sys/unix"
)

// Kind is the kind of packets that a device carries.
type Kind uint8

// TUN carries IP packets, or with Config.PacketInfo any; TAP carries Ethernet
// frames.
const (
	TUN Kind = iota
	TAP
)

// String returns "TUN" or "TAP".
func (k Kind) String() string {
	switch k {
	case TUN:
		return "TUN"
	case TAP:
		return "TAP"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// PacketInfoSize is the length of the header before each packet of a device
// opened with PacketInfo, struct tun_pi of <linux/if_tun.h>:
//
//	offset  size  field
//	0       2     flags, machine byte order
//	2       2     ethertype, network byte order
//
// Packet sockets receive a packet written with flags and ethertype 0 whatever
// its bytes are. Without this header a TUN takes only packets that begin like
// IPv4 or IPv6.
const PacketInfoSize = 4

// Config describes the device to open.
type Config struct {
	Name       string // 1 to 15 bytes; a %d in it is replaced by the first free number
	Kind       Kind
	PacketInfo bool // each packet has a header of PacketInfoSize bytes
	Attach     bool // attach to an existing, unused device of this name, if there is one
	MultiQueue bool // the device can have several queues: see AddQueues
	VnetHdr    bool // each packet has a virtio_net_hdr of VnetHdrSize bytes: see SetOffload
}

// Open creates a device in the network namespace of the calling thread, or with
// Attach attaches to a persistent one that no process uses. That one keeps its
// addresses, routes and state. The interface goes away with Close unless
// SetPersist is called.
//
// The error wraps ErrNoDevice, ErrPermission or ErrNameTaken if that is the
// reason, and says what to do.
func Open(cfg Config) (*Device, error) {
	return open("/dev/net/tun", cfg)
}

func open(path string, cfg Config) (*Device, error) {
	d, err := openFile(path, cfg)
	if err != nil {
		return nil, fmt.Errorf("open %v device %q: %w", cfg.Kind, cfg.Name, err)
	}
	return d, nil
}

func openFile(path string, cfg Config) (*Device, error) {
	if err := names.CheckInterface(cfg.Name); err != nil {
		return nil, err
	}
	flags, err := cfg.flags()
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, openError(path, err)
	}
	attached, err := attach(fd, cfg, flags)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("set non-blocking: %w", err)
	}
	d := &Device{fd: fd, cfg: cfg, attached: attached}
	if d.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make eventfd: %w", err)
	}
	if err := d.queues.init(fd, d.wake); err != nil {
		unix.Close(fd)
		unix.Close(d.wake)
		return nil, err
	}
	return d, nil
}

func (cfg Config) flags() (uint16, error) {
	var flags uint16
	switch cfg.Kind {
	case TUN:
		flags = unix.IFF_TUN
	case TAP:
		flags = unix.IFF_TAP
	default:
		return 0, errors.New("kind is neither TUN nor TAP")
	}
	if !cfg.PacketInfo {
		flags |= unix.IFF_NO_PI
	}
	if cfg.MultiQueue {
		flags |= unix.IFF_MULTI_QUEUE
	}
	if cfg.VnetHdr {
		flags |= unix.IFF_VNET_HDR
	}
	return flags, nil
}

// attach attaches the descriptor to a device.
func attach(fd int, cfg Config, flags uint16) (attached bool, err error) {
	err = setIFF(fd, cfg.Name, flags|unix.IFF_TUN_EXCL)
	if err != unix.EBUSY || !cfg.Attach {
		return false, createError(cfg, err)
	}
	// The kernel lets any process attach one more queue to a multi-queue device.
	if err := checkUnused(cfg, 0); err != nil {
		return false, attachError(cfg, err)
	}
	if err := setIFF(fd, cfg.Name, flags); err != nil {
		return false, attachError(cfg, err)
	}
	// Another process may have attached in between; then both give up.
	if err := checkUnused(cfg, 1); err != nil {
		return false, attachError(cfg, err)
	}
	// Between the two requests the old device may have been deleted. Then the
	// second one made a new device, which is never persistent.
	var now ifreq
	if err := ioctl(fd, unix.TUNGETIFF, &now); err != nil {
		return false, fmt.Errorf("read flags: %w", err)
	}
	return binary.NativeEndian.Uint16(now.data[:])&unix.IFF_PERSIST != 0, nil
}

func setIFF(fd int, name string, flags uint16) error {
	var req ifreq
	copy(req.name[:], name)
	binary.NativeEndian.PutUint16(req.data[:], flags)
	return ioctl(fd, unix.TUNSETIFF, &req)
}

func openError(path string, err error) error {
	switch err {
	case unix.ENOENT, unix.ENODEV, unix.ENXIO:
		return fmt.Errorf("%w: %s: %w: load the module with \"modprobe tun\", or give the container --device %s", ErrNoDevice, path, err, path)
	case unix.EACCES, unix.EPERM:
		return fmt.Errorf("%w: %s: %w: run as root, or allow this user to read and write it", ErrPermission, path, err)
	}
	return &os.PathError{Op: "open", Path: path, Err: err}
}

func createError(cfg Config, err error) error {
	switch err {
	case nil:
		return nil
	case unix.EPERM:
		return fmt.Errorf("%w: %w: making an interface needs root or CAP_NET_ADMIN", ErrPermission, err)
	case unix.EBUSY, unix.EEXIST:
		return fmt.Errorf("%w: %w", ErrNameTaken, err)
	case unix.ENFILE:
		return fmt.Errorf("%w: %w: no number is left for %%d", ErrNameTaken, err)
	}
	return fmt.Errorf("make interface: %w", err)
}

func attachError(cfg Config, err error) error {
	switch err {
	case unix.EPERM:
		return fmt.Errorf("%w: %w: attaching to an interface needs root or CAP_NET_ADMIN", ErrPermission, err)
	case unix.EBUSY:
		return fmt.Errorf("%w: %w: another process uses that device: stop it, or choose another name", ErrNameTaken, err)
	case unix.EINVAL:
		return fmt.Errorf("%w: %w: that interface is not a %v device of the same kind of queues: choose another name", ErrNameTaken, err, cfg.Kind)
	}
	return fmt.Errorf("attach to interface: %w", err)
}

// openQueue attaches one more queue to the named device in a namespace.
func openQueue(netns int, name string, cfg Config) (fd int, err error) {
	flags, err := cfg.flags()
	if err != nil {
		return -1, err
	}
	err = link.InNetNS(netns, func() (err error) {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			return err
		}
		if err = attachQueue(fd, name, flags); err == nil {
			err = unix.SetNonblock(fd, true)
		}
		if err != nil {
			unix.Close(fd)
		}
		return err
	})
	return fd, err
}

// attachQueue attaches a queue to a persistent device. If the device was
// renamed in between, the request makes a new one, which is not persistent and
// goes away with the descriptor.
func attachQueue(fd int, name string, flags uint16) error {
	if err := setIFF(fd, name, flags); err != nil {
		return err
	}
	var now ifreq
	if err := ioctl(fd, unix.TUNGETIFF, &now); err != nil {
		return err
	}
	if binary.NativeEndian.Uint16(now.data[:])&unix.IFF_PERSIST == 0 {
		return fmt.Errorf("interface %q is not persistent, or has just been renamed", name)
	}
	return nil
}
