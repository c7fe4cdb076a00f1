package tuntap

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Errors that Open wraps.
var (
	ErrNoDevice   = errors.New("no TUN/TAP device on this system")
	ErrPermission = errors.New("not permitted")
	ErrNameTaken  = errors.New("interface name is taken")
)

// ErrGone reports that the interface was deleted. The Device can then only be
// closed.
var ErrGone = errors.New("interface was deleted")

// Errors of Read and Write in normal operation. They are returned as they are,
// so compare them with ==.
const (
	ErrAgain = unix.EAGAIN // Read: there is no packet; Write: the kernel takes none now
	ErrDown  = unix.EIO    // Write: the interface is down, the packet was dropped
)
