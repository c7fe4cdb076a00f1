package tuntap

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CountDrop adds one to the interface's counter of received packets that were
// dropped: rx_dropped of ip -s link. It does so whether the interface is up or
// down, and no program on the machine sees a packet.
//
// A device cannot be told to count. But the kernel counts each packet whose
// bytes cannot be read when it is written (tun_get_user of drivers/net/tun.c),
// and so this writes one without bytes. The error wraps os.ErrClosed after
// Close, ErrGone if the interface was deleted, and ErrAgain while the kernel
// takes no packets; nothing is counted then.
func (d *Device) CountDrop() error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return os.ErrClosed
	}
	var header [PacketInfoSize + VnetHdrSize]byte
	iov := [2]unix.Iovec{{Base: &header[0]}, {}} // no memory is at address 0
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

// shortestFrame is what an Ethernet header takes: the kernel does not count
// packets that are shorter.
const shortestFrame = 14

// headerSize is how many bytes stand before each packet.
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
