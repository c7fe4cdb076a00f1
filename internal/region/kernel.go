package region

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// kernel holds the system calls that determine the kind of memory. The tests
// replace them.
var kernel = struct {
	openat  func(dir int, name string, flags int, mode uint32) (fd int, err error)
	fstat   func(fd int, st *unix.Stat_t) error
	fstatfs func(fd int, st *unix.Statfs_t) error
	statfs  func(path string, st *unix.Statfs_t) error
	mmap    func(fd int, offset int64, length, prot, flags int) ([]byte, error)

	fallocate func(fd int, mode uint32, offset, length int64) error
	writeFile func(path string, content []byte, mode os.FileMode) error
}{unix.Openat, unix.Fstat, unix.Fstatfs, unix.Statfs, unix.Mmap, unix.Fallocate, os.WriteFile}

// openFile opens the file of s. It avoids os.File, which would add the
// descriptor to Go's poller: polling a muenfs file requests the interrupt of
// the channel.
func openFile(s Spec, access Access) (int, error) {
	fd, err := openPath(s.Path, access)
	var errno unix.Errno
	switch {
	case err == nil:
		return fd, nil
	case !errors.As(err, &errno):
		return -1, err // it already says what is wrong
	case errno == unix.ENOENT:
		return -1, missing(s, err)
	case access != ReadWrite:
		return -1, fmt.Errorf("for reading: %w", err)
	case errno == unix.EPERM && isMuenfs(s.Path):
		return -1, fmt.Errorf("for writing: %w: %w", errReadOnly, err)
	}
	return -1, fmt.Errorf("for writing: %w", err)
}

// openPath opens a file for access. The last component of path must be the file
// itself, not a symbolic link. The error is a bare errno unless the directory
// or the kind of file is refused.
func openPath(path string, access Access) (int, error) {
	parent, name := filepath.Split(path)
	dir, err := openDirectory(parent, unix.O_PATH)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	flags := unix.O_RDONLY
	if access == ReadWrite {
		flags = unix.O_RDWR
	}
	// O_NONBLOCK: do not block on a FIFO.
	fd, err := openAt(dir, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err == nil {
		return fd, nil
	}
	// Some kinds of file cannot be opened: say what it is instead of ENXIO
	// or ELOOP.
	var st unix.Stat_t
	if unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil {
		if err := checkKind(&st); err != nil {
			return -1, err
		}
	}
	return -1, err
}

// checkKind refuses everything but regular files.
func checkKind(st *unix.Stat_t) error {
	kind := ""
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return nil
	case unix.S_IFDIR:
		kind = "directory"
	case unix.S_IFCHR:
		kind = "character device"
	case unix.S_IFBLK:
		kind = "block device"
	case unix.S_IFIFO:
		kind = "FIFO"
	case unix.S_IFLNK:
		kind = "symbolic link"
	case unix.S_IFSOCK:
		kind = "socket"
	default:
		kind = fmt.Sprintf("file of mode %#o", st.Mode)
	}
	return fmt.Errorf("it is a %s: want a regular file", kind)
}

// retry repeats a system call while signals interrupt it.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
