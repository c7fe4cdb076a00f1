package traffic

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// buffer is how much a socket may keep that receives a flood. It is there so
// that what is lost is lost on the way, not at the end of it.
const buffer = 8 << 20

func sockaddr(a netip.AddrPort) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}

// open makes a blocking socket; a call on it gives up after Patience.
func open(kind int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open socket: %w", err)
	}
	patience := unix.NsecToTimeval(int64(Patience))
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &patience); err != nil {
			return -1, fmt.Errorf("set time-out: %w", err)
		}
	}
	return fd, nil
}

func bind(kind int, addr netip.AddrPort) (fd int, err error) {
	if fd, err = open(kind); err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return -1, fmt.Errorf("reuse address: %w", err)
	}
	if err := unix.Bind(fd, sockaddr(addr)); err != nil {
		return -1, fmt.Errorf("bind: %w", err)
	}
	return fd, nil
}

func listen(addr netip.AddrPort) (fd int, err error) {
	if fd, err = bind(unix.SOCK_STREAM, addr); err != nil {
		return -1, err
	}
	if err := unix.Listen(fd, 64); err != nil {
		return -1, fmt.Errorf("listen: %w", err)
	}
	return fd, nil
}

func connect(kind int, addr netip.AddrPort) (fd int, err error) {
	if fd, err = open(kind); err != nil {
		return -1, err
	}
	// Interrupted, the kernel goes on connecting: the next call waits for that.
	err = uninterrupted(func() error { return unix.Connect(fd, sockaddr(addr)) })
	if err != nil {
		return -1, fmt.Errorf("connect: %w", err)
	}
	return fd, nil
}

// accept takes one connection.
func accept(listener int) (fd int, err error) {
	err = uninterrupted(func() (err error) {
		fd, _, err = unix.Accept4(listener, unix.SOCK_CLOEXEC)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("accept: %w", err)
	}
	return fd, nil
}

// uninterrupted repeats a call that signals interrupt: those of Go's scheduler
// do, because a socket with a time-out is not restarted by the kernel.
func uninterrupted(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// setNoDelay makes the socket send each request at once.
func setNoDelay(fd int) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
}

// writeAll writes all of p, over as many calls as it takes.
func writeAll(fd int, p []byte) error {
	for len(p) > 0 {
		n := 0
		if err := uninterrupted(func() (err error) { n, err = unix.Write(fd, p); return err }); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// read is unix.Read without interruptions by signals.
func read(fd int, p []byte) (n int, err error) {
	err = uninterrupted(func() (err error) { n, err = unix.Read(fd, p); return err })
	return n, err
}

// readAll fills p; fewer bytes than that before the end are reported by n.
func readAll(fd int, p []byte) (n int, err error) {
	for n < len(p) {
		m, err := read(fd, p[n:])
		if err != nil || m == 0 {
			return n, err
		}
		n += m
	}
	return n, nil
}
