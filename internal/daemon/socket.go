package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socketMode lets root and the socket's group connect.
const socketMode = 0o660

// noGroup means that there is no control group.
const noGroup = -1

// groupID returns the number of the group with this name or number; noGroup for
// an empty name.
func groupID(name string) (int, error) {
	if name == "" {
		return noGroup, nil
	}
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("control group %q: no such group", name)
	}
	return strconv.Atoi(g.Gid)
}

// listen creates the control socket. The caller holds the lock for path, so a
// socket at path that refuses connections belongs to a dead process.
func listen(path string, gid int) (net.Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		// The file gets the mode of the unbound socket, less the umask, so
		// that others can connect at no time.
		cerr := raw.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), socketMode) })
		return errors.Join(err, cerr)
	}}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("create control socket: %w", err)
	}
	if gid != noGroup {
		err = os.Chown(path, -1, gid)
	}
	if err == nil {
		err = os.Chmod(path, socketMode)
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("create control socket: %w", err)
	}
	return l, nil
}

// removeStale removes a socket without a listener. Anything else at path is
// left alone and an error.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create control socket: %w", err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("create control socket: %s exists and is not a socket", path)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		defer conn.Close()
		p, _ := callerOf(conn.(*net.UnixConn))
		return &InUseError{path, p.pid}
	}
	if !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("create control socket: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("create control socket: remove the stale one: %w", err)
	}
	return nil
}

// drain removes the name of the socket, and returns when all clients that
// connected before have been accepted, or ctx is done. Closing the socket would
// reset those that have not.
func drain(ctx context.Context, socket net.Listener) {
	_ = os.Remove(socket.Addr().String()) // closing the socket does it again
	l, ok := socket.(*net.UnixListener)
	if !ok {
		return
	}
	raw, err := l.SyscallConn()
	for waiting := true; err == nil && waiting && ctx.Err() == nil; {
		err = raw.Control(func(fd uintptr) {
			n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			waiting = n == 1
		})
		if waiting {
			time.Sleep(drainPause)
		}
	}
}
