package tuntap

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// ifreq is struct ifreq of <linux/if.h>: a name of up to 15 bytes and a NUL,
// then a union whose largest member differs between architectures. This is the
// larger size, which fits both.
type ifreq struct {
	name [unix.IFNAMSIZ]byte
	data [24]byte
}

// ioctl makes a request whose argument is an ifreq.
func ioctl(fd int, request uint, arg *ifreq) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(unsafe.Pointer(arg)))
		if errno == 0 {
			return nil
		}
		if errno != unix.EINTR {
			return errno
		}
	}
}

// ioctlFD makes a request that has no argument and answers with a new
// descriptor.
func ioctlFD(fd int, request uint) (int, error) {
	r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), 0)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}
