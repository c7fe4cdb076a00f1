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

// process is the process that listens on the socket, to wait for its exit. The
// zero value is a process that is not visible.
type process struct{ fd *os.File }

// process returns the process that listens on the socket.
func (c *Client) process(ctx context.Context) (process, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return process{}, err
	}
	defer conn.Close()
	pid, err := listener(conn.(*net.UnixConn))
	if err != nil {
		return process{}, fmt.Errorf("find the process that listens at %s: %w", c.path, err)
	}
	if pid == 0 || pid == os.Getpid() {
		return process{}, nil
	}
	// The connection is new, so the pid still belongs to that process. From
	// here on the descriptor identifies it.
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
			return process{}, nil
		}
		return process{}, fmt.Errorf("watch process %d: %w", pid, err)
	}
	return process{os.NewFile(uintptr(fd), "pidfd")}, nil
}

// listener returns the pid of the process at the other end, which for a Unix
// socket is the one that called listen.
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

// wait returns when the process has exited or ctx is done.
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
	// A pidfd is readable once the process has exited; there is no data to
	// read.
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
