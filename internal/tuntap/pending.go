package tuntap

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Send buffers of a queue, which the kernel charges for each packet from its
// being written until it has passed the ingress programs and reached IP, or was
// dropped.
const (
	anyPending = 4 // bytes: any packet fills it; with less it would never be empty
	unlimited  = math.MaxInt32
)

// Account(true) makes Pending tell of the packets that are written from now on,
// and Write return ErrAgain as long as one of them is pending. Account(false),
// which is how a device begins, takes that back. The call may wait for the
// kernel's lock for all interfaces.
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

// Pending reports whether a packet may still be on its way that was written
// since Account(true): it was not dropped, nor has it reached IP. It is always
// so while the interface is down. It does not allocate.
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
