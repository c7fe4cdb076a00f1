package tuntap

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CountDrop adds one to the interface's rx_dropped, which ip -s link shows as
// received packets that were dropped. The interface may be up or down. No
// program sees a packet.
//
// The kernel has no request for that, but it counts each written packet whose
// bytes it cannot read (tun_get_user of drivers/net/tun.c). So CountDrop writes
// one at address 0. The error is os.ErrClosed after Close, ErrGone if the
// interface was deleted, and ErrAgain while the kernel takes no packets;
// nothing is counted then.
func (d *Device) CountDrop() error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return os.ErrClosed
	}
	var header [PacketInfoSize + VnetHdrSize]byte
	iov := [2]unix.Iovec{{Base: &header[0]}, {}} // no memory is mapped at address 0
	iov[0].SetLen(d.cfg.headerSize())
	iov[1].SetLen(shortestFrame)
	for {
		_, _, errno := unix.Syscall(unix.SYS_WRITEV, uintptr(d.fd), uintptr(unsafe.Pointer(&iov)), uintptr(len(iov)))
		switch errno {
		case unix.EINTR:
		case unix.EFAULT:
			return nil
		default:
			return meaning(errno)
		}
	}
}

// shortestFrame is the length of an Ethernet header in bytes. The kernel does
// not count shorter packets.
const shortestFrame = 14

// headerSize returns the length of the headers before each packet, in bytes.
func (cfg Config) headerSize() int {
	switch {
	case cfg.VnetHdr && cfg.PacketInfo:
		return PacketInfoSize + VnetHdrSize
	case cfg.VnetHdr:
		return VnetHdrSize
	case cfg.PacketInfo:
		return PacketInfoSize
	}
	return 0
}
