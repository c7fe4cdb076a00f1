package daemon

import (
	"errors"
	"net"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// caller holds the credentials of a client, which the kernel recorded when it
// connected.
type caller struct {
	pid, uid, gid int
	groups        []uint32 // supplementary groups
}

// callerOf returns the credentials of the process at the other end.
func callerOf(conn *net.UnixConn) (caller, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return caller{}, err
	}
	var p caller
	var perr error
	err = raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, perr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); perr != nil {
			return
		}
		p.pid, p.uid, p.gid = int(cred.Pid), int(cred.Uid), int(cred.Gid)
		p.groups, perr = callerGroups(int(fd))
	})
	return p, errors.Join(err, perr)
}

// callerGroups reads SO_PEERGROUPS (Linux 4.13): the supplementary groups at
// the time of connect. /proc/PID/status has those of the process with that pid
// now.
func callerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 16)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(unsafe.SliceData(groups))), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0:
			return groups[:size/4], nil
		case errno == unix.ENODATA: // no groups at all
			return nil, nil
		case errno == unix.ERANGE && int(size/4) > len(groups):
			groups = make([]uint32, size/4) // size is now the size needed
		default:
			return nil, os.NewSyscallError("getsockopt SO_PEERGROUPS", errno)
		}
	}
}

// owner reports whether the caller may do whatever this process can: uid 0 and
// our own uid may.
func (p caller) owner() bool { return p.uid == 0 || p.uid == os.Geteuid() }

// mayChange reports whether the caller may change anything: an owner may, and
// so may a member of the control group, within the limits of checkMember.
func (p caller) mayChange(group int) bool {
	if p.owner() {
		return true
	}
	return group != noGroup && (p.gid == group || slices.Contains(p.groups, uint32(group)))
}
