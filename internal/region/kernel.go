package region

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// kernel is what the kernel is asked about files that decides what memory they
// are. The tests put other answers in.
var kernel = struct {
	open    func(path string, flags int, mode uint32) (fd int, err error)
	fstat   func(fd int, st *unix.Stat_t) error
	fstatfs func(fd int, st *unix.Statfs_t) error
	statfs  func(path string, st *unix.Statfs_t) error
	mmap    func(fd int, offset int64, length, prot, flags int) ([]byte, error)

	writeFile func(path string, content []byte, mode os.FileMode) error
}{unix.Open, unix.Fstat, unix.Fstatfs, unix.Statfs, unix.Mmap, os.WriteFile}

// openFile opens the file of s. It stays away from os.File: that would put the
// descriptor under Go's poller, and a poll of a muenfs file takes hold of the
// channel's interrupt. O_NONBLOCK keeps a FIFO from hanging us here.
func openFile(s Spec, access Access) (int, error) {
	fd, err := openPath(s.Path, access)
	if err == nil {
		return fd, nil
	}
	// Some kinds of file cannot even be opened: say what it is, not ENXIO.
	var st unix.Stat_t
	if unix.Stat(s.Path, &st) == nil {
		if err := checkKind(&st); err != nil {
			return -1, err
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return -1, missing(s, err)
	case access != ReadWrite:
		return -1, fmt.Errorf("for reading: %w", err)
	case err == unix.EPERM && isMuenfs(s.Path):
		return -1, fmt.Errorf("for writing: %w: %w", errReadOnly, err)
	}
	return -1, fmt.Errorf("for writing: %w", err)
}

// openPath opens one file as access needs it.
func openPath(path string, access Access) (fd int, err error) {
	flags := unix.O_RDONLY
	if access == ReadWrite {
		flags = unix.O_RDWR
	}
	err = retry(func() (err error) {
		fd, err = kernel.open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		return err
	})
	if err != nil {
		return -1, err
	}
	return fd, nil
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
	case unix.S_IFSOCK:
		kind = "socket"
	default:
		kind = fmt.Sprintf("file of mode %#o", st.Mode)
	}
	return fmt.Errorf("it is a %s: want a regular file", kind)
}

// retry repeats a system call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
