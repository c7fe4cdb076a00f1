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

	"golang.org/x/sys/unix"
)

// socketMode lets root and the socket's group connect.
const socketMode = 0o660

// noGroup stands for "no control group".
const noGroup = -1

// groupID finds the number of the group with this name or number; noGroup for
// the empty name.
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

// listen makes the control socket. The caller holds the lock for path, so a
// socket that is found there and answers to nobody is a dead process's.
func listen(path string, gid int) (net.Listener, error) {
	if err := clear(path); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		// The mode of an unbound socket is the one its name gets (less the
		// umask): there is no moment in which others could connect.
		cerr := raw.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), socketMode) })
		return errors.Join(err, cerr)
	}}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("make control socket: %w", err)
	}
	if gid != noGroup {
		err = os.Chown(path, -1, gid)
	}
	if err == nil {
		err = os.Chmod(path, socketMode)
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("make control socket: %w", err)
	}
	return l, nil
}

// clear removes a socket that nobody listens on any more. Anything else at
// path is left alone and an error.
func clear(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make control socket: %w", err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("make control socket: %s exists and is not a socket", path)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		defer conn.Close()
		p, _ := peerOf(conn.(*net.UnixConn))
		return &InUseError{path, p.pid}
	}
	if !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make control socket: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make control socket: remove the stale one: %w", err)
	}
	return nil
}
