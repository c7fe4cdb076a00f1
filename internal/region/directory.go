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

// A channel is opened in two steps: its directory first, then the file, by a
// name of one component relative to that descriptor and without following a
// symbolic link (O_NOFOLLOW). A name that holds no '/' and is neither "." nor ".."
// cannot leave the directory by any other way, so openat2(2) with RESOLVE_BENEATH
// and RESOLVE_NO_SYMLINKS, which older kernels and many seccomp filters refuse,
// would add nothing.
//
// Any user can make plainDir before root does, in the world-writable /dev/shm, and
// then replaces every channel in it at will. So there, and only there, owners and
// mode are checked; a directory that the administrator named is trusted as it is.
// docs/decisions/0015 has the reasons.

// openDirectory opens the directory that channels lie in, to find files
// relative to it, or with O_RDONLY to list it. The error is a bare errno unless
// the directory is the default one and must not be used.
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

// isDefault tells whether path is the default channel directory.
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
	// In a sticky directory only the owner of a file can replace it. The group
	// of root counts as root.
	others := st.Mode&0o002 != 0 || st.Mode&0o020 != 0 && st.Gid != 0
	if others && st.Mode&unix.S_ISVTX == 0 {
		return fmt.Errorf("%s has mode %#o, so other users can replace every channel in it; to mend it: chmod go-w %s", plainDir, st.Mode&0o7777, plainDir)
	}
	return nil
}

// checkOwner refuses the file of another user in the default directory: with
// the sticky bit anyone may have put it there.
func checkOwner(path string, st *unix.Stat_t) error {
	if foreign(st.Uid) && isDefault(filepath.Dir(path)) {
		return fmt.Errorf("%s belongs to user %s: in %s a channel belongs to root or to the user of this process; remove it, or use another directory",
			path, userName(st.Uid), plainDir)
	}
	return nil
}

// checkCreator refuses to make a channel in a directory that belongs to
// another user, who could replace it the next moment, or that such a user's
// symbolic link leads to. fd is the directory.
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

// foreign tells whether uid is neither root nor the user of this process.
func foreign(uid uint32) bool { return uid != 0 && int64(uid) != int64(os.Geteuid()) }

// unmapped tells whether uid may stand for an owner without a number in this
// user namespace, such as the root of the host in a rootless container: nobody
// here can act as that user.
func unmapped(uid uint32) bool {
	overflow, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if err != nil || strings.TrimSpace(string(overflow)) != strconv.FormatUint(uint64(uid), 10) {
		return false
	}
	ids, err := os.ReadFile("/proc/self/uid_map")
	// The initial namespace maps all of them.
	return err == nil && strings.Join(strings.Fields(string(ids)), " ") != "0 0 4294967295"
}

// userName returns the name of a user, or the number where it has none.
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
