package driver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/internal/link"
	"github.com/muennet/muennet/internal/shortage"
	"github.com/muennet/muennet/internal/tuntap"
)

// record is what is needed to find a device again after a crash, wherever the
// administrator has moved it and whatever it is called now.
type record struct {
	place
	Name     string        `json:"name"` // that the load asked for, which it need not have any more
	Children []childRecord `json:"children,omitempty"`
}

// childRecord is a record's child.
type childRecord struct {
	place
	Marks []uint32 `json:"marks,omitempty"`
}

// place is where a device was last.
type place struct {
	Alias string `json:"alias"`
	Index int    `json:"ifindex"`
	NetNS uint64 `json:"netns"` // inode number

	// What it is, and stays.
	Kind       tuntap.Kind `json:"kind"`
	MultiQueue bool        `json:"multi_queue"`
}

// places lists where all devices of records were, those of children too.
func places(records []record) (all []place) {
	for _, r := range records {
		all = append(all, r.place)
		for _, c := range r.Children {
			all = append(all, c.place)
		}
	}
	return all
}

// stateFile keeps the records of one process.
type stateFile struct {
	path string
	mu   sync.Mutex
}

// state is what the file holds.
type state struct {
	// Boot identifies the boot of the machine: devices, indexes and namespaces are
	// others after the next one.
	Boot       string   `json:"boot"`
	Interfaces []record `json:"interfaces"`
}

// DamagedStateError says that a state file could not be understood, and was
// renamed so that it is in nobody's way. What it knew is lost: interfaces that
// were moved to another network namespace, or whose alias was changed.
type DamagedStateError struct {
	Path  string // of the state file
	Aside string // what it is called now
	Err   error  // what is wrong with it
}

func (e *DamagedStateError) Error() string {
	return fmt.Sprintf("state file %s is damaged and was renamed to %s: %v: interfaces left in other namespaces, or with another alias, are not found", e.Path, e.Aside, e.Err)
}

func (e *DamagedStateError) Unwrap() error { return e.Err }

// write replaces the file as a whole; no records, no file. A crash at any moment,
// of the machine too, leaves the old file or the new one.
func (s *stateFile) write(records []record) error {
	if s.path == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(records) == 0 {
		return removeFile(s.path)
	}
	boot, err := bootID()
	if err != nil {
		return err
	}
	data, err := json.Marshal(state{Boot: boot, Interfaces: records})
	if err != nil {
		return err
	}
	next := s.path + ".new"
	if err := removeFile(next); err != nil { // left by a crash
		return err
	}
	if err := writeSynced(next, data); err != nil {
		return errors.Join(err, removeFile(next))
	}
	return os.Rename(next, s.path)
}

// writeSynced makes a file. Its contents are on the disk when it returns: a
// rename may get there before what was written earlier.
func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// removeFile removes a file that need not be there.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// read returns the records; none if there is no file, or if it is of an earlier
// boot. What is no state file is set aside: *DamagedStateError.
func (s *stateFile) read() ([]record, error) {
	if s.path == "" {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var st state
	if err := json.Unmarshal(data, &st); err != nil {
		damaged := &DamagedStateError{Path: s.path, Aside: s.path + ".damaged", Err: err}
		if err := os.Rename(s.path, damaged.Aside); err != nil {
			return nil, fmt.Errorf("read %s: %w: set aside: %w", s.path, damaged.Err, err)
		}
		return nil, damaged
	}
	boot, err := bootID()
	if err != nil || st.Boot != boot {
		return nil, err
	}
	return st.Interfaces, nil
}

// bootID identifies the boot of this machine, see random(4); "" where /proc is
// not to be had.
func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if shortage.Is(err) {
		return "", err
	}
	return strings.TrimSpace(string(id)), nil
}

// netnsPaths lists where network namespaces can be opened.
func netnsPaths() ([]string, error) {
	paths := []string{"/proc/thread-self/ns/net"}
	for _, dir := range []string{"/run/netns", "/proc"} {
		entries, err := os.ReadDir(dir)
		if shortage.Is(err) {
			return nil, err
		}
		for _, e := range entries { // none after any other error: there is no such directory
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

// openNetNS finds the namespace with that inode number, by its name or by a
// process in it. The caller closes the descriptor. fs.ErrNotExist: there is none.
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
