package tuntap

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Sizes of a queue's send buffer. The kernel charges each packet to it from its
// write until it has passed the ingress programs and reached IP, or was
// dropped.
const (
	anyPending = 4 // bytes: any packet fills it; a smaller one is never empty
	unlimited  = math.MaxInt32
)

// Account sets whether Pending covers the packets written from then on, and
// Write returns ErrAgain while one of them is pending. A device begins without.
// The call may wait for the kernel's lock for all interfaces.
func (d *Device) Account(on bool) error {
	size := unlimited
	if on {
		size = anyPending
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return os.ErrClosed
	}
	return unix.IoctlSetPointerInt(d.fd, unix.TUNSETSNDBUF, size)
}

// Pending reports whether a packet written since Account(true) may still be on
// its way, neither dropped nor at IP. It is always true while the interface is
// down. It does not allocate.
func (d *Device) Pending() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return true
	}
	fds := [1]unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds[:], 0)
	return err != nil || n == 0 || fds[0].Revents&unix.POLLOUT == 0
}
