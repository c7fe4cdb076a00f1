package driver

import (
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/shortage"
)

// netnsPaths lists the files by which network namespaces can be opened. The
// only error is a shortage.
func netnsPaths() ([]string, error) {
	paths := []string{"/proc/thread-self/ns/net"}
	for _, dir := range []string{"/run/netns", "/proc"} {
		entries, err := os.ReadDir(dir)
		if shortage.Is(err) {
			return nil, err
		}
		for _, e := range entries { // none if the directory is missing
			switch {
			case dir != "/proc":
				paths = append(paths, filepath.Join(dir, e.Name()))
			case e.Name()[0] >= '0' && e.Name()[0] <= '9': // a process
				paths = append(paths, filepath.Join(dir, e.Name(), "ns/net"))
			}
		}
	}
	return paths, nil
}

// openNetNS opens the namespace with that inode number, by its name or by a
// process in it. The caller closes the descriptor. fs.ErrNotExist: there is
// none.
func openNetNS(id uint64) (int, error) {
	paths, err := netnsPaths()
	if err != nil {
		return -1, err
	}
	for _, path := range paths {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if shortage.Is(err) {
			return -1, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		if err != nil {
			continue
		}
		if link.NSID(fd) == id {
			return fd, nil
		}
		unix.Close(fd)
	}
	return -1, fs.ErrNotExist
}
