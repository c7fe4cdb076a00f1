package netlab

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Marked is the Control function of a net.Dialer or net.ListenConfig whose
// sockets send packets with a Netfilter mark, which takes CAP_NET_ADMIN. A mark
// of 0 changes nothing.
func Marked(mark uint32) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		if mark == 0 {
			return nil
		}
		var err error
		if e := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(mark)) }); e != nil {
			return e
		}
		if err != nil {
			return fmt.Errorf("set mark %#x: %w", mark, err)
		}
		return nil
	}
}
