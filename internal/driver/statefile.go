package driver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/muennet/muennet/internal/shortage"
	"github.com/muennet/muennet/internal/tuntap"
)

// parentRecord finds an interface again after a crash, in whatever namespace it
// is and whatever its name is now.
type parentRecord struct {
	deviceRecord
	Name     string        `json:"name"` // that the load asked for, which may have been changed
	Children []childRecord `json:"children,omitempty"`
}

// childRecord finds a child of it.
type childRecord struct {
	deviceRecord
	Marks []uint32 `json:"marks,omitempty"`
}

// deviceRecord identifies a device.
type deviceRecord struct {
	Alias string `json:"alias"`
	Index int    `json:"ifindex"`
	NetNS uint64 `json:"netns"` // inode number

	// These never change.
	Kind       tuntap.Kind `json:"kind"`
	MultiQueue bool        `json:"multi_queue"`
}

// devices lists the devices of an interface and its children.
func (r parentRecord) devices() []deviceRecord {
	devices := []deviceRecord{r.deviceRecord}
	for _, c := range r.Children {
		devices = append(devices, c.deviceRecord)
	}
	return devices
}

// stateFile keeps the records of one process.
type stateFile struct {
	path string
	mu   sync.Mutex
}

// state is what the file holds.
type state struct {
	// Boot identifies the boot of the machine, which devices, indexes and
	// namespaces do not survive.
	Boot       string         `json:"boot"`
	Interfaces []parentRecord `json:"interfaces"`
}

// DamagedStateError says that a state file could not be parsed and was renamed,
// so that a new one can be written. Interfaces that were moved to another
// network namespace, or whose alias was changed, are not found.
type DamagedStateError struct {
	Path  string // of the state file
	Aside string // its new path
	Err   error  // the parse error
}

func (e *DamagedStateError) Error() string {
	return fmt.Sprintf("state file %s is damaged and was renamed to %s: %v: interfaces left in other namespaces, or with another alias, are not found", e.Path, e.Aside, e.Err)
}

func (e *DamagedStateError) Unwrap() error { return e.Err }

// write replaces the file as a whole; without records it removes it. A crash at
// any moment, even of the machine, leaves the old file or the new one.
func (s *stateFile) write(records []parentRecord) error {
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

// writeSynced creates a file and waits until its contents are on the disk: a
// later rename may get there first.
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

// removeFile removes a file, if there is one.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// read returns the records; none if there is no file, or if it is from an
// earlier boot. A file that cannot be parsed is renamed: *DamagedStateError.
func (s *stateFile) read() ([]parentRecord, error) {
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

// bootID identifies the boot of this machine, see random(4); "" without /proc.
// The only error is a shortage.
func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if shortage.Is(err) {
		return "", err
	}
	return strings.TrimSpace(string(id)), nil
}
