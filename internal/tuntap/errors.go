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

// ErrGone is returned when the interface was deleted. The Device is then of no
// more use and can only be closed.
var ErrGone = errors.New("interface was deleted")

// What Read and Write return in the course of events. They are compared with
// ==, and returning them does not allocate.
const (
	ErrAgain = unix.EAGAIN // Read: no packet is there; Write: the kernel takes none now
	ErrDown  = unix.EIO    // Write: the interface is down, the packet was dropped
)
