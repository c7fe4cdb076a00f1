package tuntap

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// VnetHdrSize is the length of the struct virtio_net_hdr (include/uapi/linux/
// virtio_net.h) before each packet of a device opened with VnetHdr.
const VnetHdrSize = 10

// Offload is the work that the kernel may leave to the reader of a device:
// completing checksums and cutting packets of up to 64 KiB.
type Offload int

// Features, TUN_F_* of include/uapi/linux/if_tun.h. TCP and UDP need Checksum.
const (
	Checksum Offload = unix.TUN_F_CSUM
	TCP      Offload = unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN
	UDP      Offload = unix.TUN_F_USO4 | unix.TUN_F_USO6 // Linux 6.2
)

// SetOffload sets what the kernel may leave to the reader, from the next packet
// on. Without VnetHdr it must be 0. The error wraps errors.ErrUnsupported if
// the kernel lacks a feature. A device that existed before Open keeps its
// features until then.
func (d *Device) SetOffload(o Offload) error {
	return d.control("set offload of interface", func(fd int) error {
		err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, int(o))
		if errors.Is(err, unix.EINVAL) {
			return errors.Join(errors.ErrUnsupported, err)
		}
		return err
	})
}

// Writev is Write for a packet in parts: at most MaxParts, none empty. It does
// not keep them.
func (d *Device) Writev(parts [][]byte) (int, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return 0, os.ErrClosed
	}
	if len(parts) == 0 || len(parts) > MaxParts {
		return 0, unix.EINVAL
	}
	var iov [MaxParts]unix.Iovec
	for i, p := range parts {
		iov[i].Base = unsafe.SliceData(p)
		iov[i].SetLen(len(p))
	}
	for {
		n, _, errno := unix.Syscall(unix.SYS_WRITEV, uintptr(d.fd), uintptr(unsafe.Pointer(&iov)), uintptr(len(parts)))
		if errno == 0 {
			return int(n), nil
		}
		if errno != unix.EINTR {
			return 0, meaning(errno)
		}
	}
}

// MaxParts is the largest number of parts for Writev.
const MaxParts = 80
