package driver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// record is what is needed to find a device again after a crash, wherever the
// administrator has moved it and whatever it is called now.
type record struct {
	place
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

// write replaces the file as a whole; no records, no file.
func (s *stateFile) write(records []record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(records) == 0 {
		if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	data, err := json.Marshal(records)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	if _, err = temp.Write(data); err == nil {
		err = temp.Close()
	} else {
		temp.Close()
	}
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), s.path)
}

// read returns the records; none if there is no file.
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
	var records []record
	if err := json.Unmarshal(data, &records); err != nil {
		return nil, fmt.Errorf("read %s: %w", s.path, err)
	}
	return records, nil
}

// netnsPaths lists where network namespaces can be opened.
func netnsPaths() []string {
	paths := []string{"/proc/thread-self/ns/net"}
	for _, pattern := range []string{"/run/netns/*", "/proc/[0-9]*/ns/net"} {
		found, _ := filepath.Glob(pattern) // the only error is a bad pattern
		paths = append(paths, found...)
	}
	return paths
}
