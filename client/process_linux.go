package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// process is the process behind the socket, to wait for its end. The zero
// value is one that cannot be seen.
type process struct{ fd *os.File }

// process finds who listens on the socket.
func (c *Client) process(ctx context.Context) (process, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return process{}, err
	}
	defer conn.Close()
	pid, err := listener(conn.(*net.UnixConn))
	if err != nil {
		return process{}, fmt.Errorf("ask who listens at %s: %w", c.path, err)
	}
	if pid == 0 || pid == os.Getpid() {
		return process{}, nil
	}
	// The connection was made a moment ago, so the number is still that
	// process's; from here on the descriptor stands for it.
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
			return process{}, nil
		}
		return process{}, fmt.Errorf("watch process %d: %w", pid, err)
	}
	return process{os.NewFile(uintptr(fd), "pidfd")}, nil
}

// listener gives the pid of the process at the other end: for a unix socket
// the one that called listen.
func listener(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var cerr error
	err = raw.Control(func(fd uintptr) {
		cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, cerr); err != nil {
		return 0, err
	}
	return int(cred.Pid), nil
}

// wait returns when the process has ended or ctx is done.
func (p process) wait(ctx context.Context) error {
	if p.fd == nil {
		return nil
	}
	raw, err := p.fd.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { p.fd.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	// A pidfd polls readable once the process has ended; there is nothing to
	// read from it.
	err = raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err == nil && n == 1
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (p process) close() {
	if p.fd != nil {
		p.fd.Close()
	}
}
