package region

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A channel is opened in two steps: first its directory, then the file, by a
// single-component name relative to that descriptor and without following
// symbolic links (O_NOFOLLOW). A name without '/' other than "." and ".."
// cannot leave the directory in any other way. So openat2(2) with
// RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, which older kernels and many seccomp
// filters refuse, would add nothing.
//
// Any user can create plainDir in the world-writable /dev/shm before root does,
// and can then replace every channel in it. So there, and only there, owner and
// mode are checked. A directory that the administrator named is trusted.
// docs/decisions/0015 has the reasons.

// openDirectory opens a channel directory, to open files relative to it or,
// with O_RDONLY, to list it. The error is a bare errno unless it is about the
// owner, mode or kind of the default directory.
func openDirectory(path string, flags int) (int, error) {
	path = filepath.Clean(path) // O_NOFOLLOW follows a link before a '/'
	standard := isDefault(path)
	if standard {
		flags |= unix.O_NOFOLLOW
	}
	fd, err := openAt(unix.AT_FDCWD, path, flags|unix.O_DIRECTORY, 0)
	if !standard {
		return fd, err
	}
	if err == nil {
		if err = checkDefault(fd); err != nil {
			unix.Close(fd)
			return -1, err
		}
		return fd, nil
	}
	var st unix.Stat_t
	if unix.Lstat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return -1, fmt.Errorf("%s is a symbolic link of user %s: want a directory", plainDir, userName(st.Uid))
	}
	return -1, err
}

// isDefault reports whether path is the default channel directory.
func isDefault(path string) bool { return filepath.Clean(path) == plainDir }

// checkDefault refuses a default directory in which another user can replace
// the channels.
func checkDefault(fd int) error {
	var st unix.Stat_t
	if err := kernel.fstat(fd, &st); err != nil {
		return fmt.Errorf("stat %s: %w", plainDir, err)
	}
	if foreign(st.Uid) {
		return fmt.Errorf("%s belongs to user %s, who can replace every channel in it: want it owned by root or by the user of this process; remove it, or name another directory with --channels",
			plainDir, userName(st.Uid))
	}
	// In a sticky directory only the owner of a file can replace it. Root's
	// group counts as root.
	others := st.Mode&0o002 != 0 || st.Mode&0o020 != 0 && st.Gid != 0
	if others && st.Mode&unix.S_ISVTX == 0 {
		return fmt.Errorf("%s has mode %#o, so other users can replace every channel in it; to fix it: chmod go-w %s", plainDir, st.Mode&0o7777, plainDir)
	}
	return nil
}

// checkOwner refuses a file of another user in the default directory: if that
// is sticky, any user may have created the file.
func checkOwner(path string, st *unix.Stat_t) error {
	if foreign(st.Uid) && isDefault(filepath.Dir(path)) {
		return fmt.Errorf("%s belongs to user %s: in %s a channel belongs to root or to the user of this process; remove it, or use another directory",
			path, userName(st.Uid), plainDir)
	}
	return nil
}

// checkCreator refuses to create a channel in a directory of another user, who
// could replace the channel, or in one that is reached through such a user's
// symbolic link. fd is the directory.
func checkCreator(fd int, dir string) error {
	dir = filepath.Clean(dir)
	var link, st unix.Stat_t
	err := kernel.fstat(fd, &st)
	if err == nil {
		err = unix.Lstat(dir, &link)
	}
	if err != nil {
		return fmt.Errorf("stat %s: %w", dir, err)
	}
	for _, uid := range []uint32{link.Uid, st.Uid} {
		if foreign(uid) && !unmapped(uid) {
			return fmt.Errorf("%s belongs to user %s, who could replace the channel: want it owned by root or by the user of this process, or create the channel as that user", dir, userName(uid))
		}
	}
	return nil
}

// foreign reports whether uid is neither root nor the user of this process.
func foreign(uid uint32) bool { return uid != 0 && int64(uid) != int64(os.Geteuid()) }

// unmapped reports whether uid may stand for an owner without a number in this
// user namespace, such as root of the host in a rootless container. No process
// in the namespace can act as that user.
func unmapped(uid uint32) bool {
	overflow, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if err != nil || strings.TrimSpace(string(overflow)) != strconv.FormatUint(uint64(uid), 10) {
		return false
	}
	ids, err := os.ReadFile("/proc/self/uid_map")
	// The initial namespace maps all users.
	return err == nil && strings.Join(strings.Fields(string(ids)), " ") != "0 0 4294967295"
}

// userName returns the name of a user, or the number if it has none.
func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// openAt opens name relative to the directory dir, as openat(2).
func openAt(dir int, name string, flags int, mode uint32) (fd int, err error) {
	err = retry(func() (err error) {
		fd, err = kernel.openat(dir, name, flags|unix.O_CLOEXEC, mode)
		return err
	})
	if err != nil {
		return -1, err
	}
	return fd, nil
}
