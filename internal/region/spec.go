package region

import (
	"fmt"
	"path/filepath"

	"github.com/muennet/muennet/internal/names"
)

// plainDir is the channel directory if there is no muenfs. Tests change it.
var plainDir = "/dev/shm/muennet"

// DefaultDir returns the channel directory of this system: /muenfs if a muenfs
// is mounted there, otherwise /dev/shm/muennet, which need not exist yet.
func DefaultDir() string {
	if isMuenfs(muenfsDir) {
		return muenfsDir
	}
	return plainDir
}

// Spec says which bytes a region consists of.
type Spec struct {
	// Path is the path of the file, absolute if the channel directory is.
	// For a PCI device it is the file of its BAR 2 in sysfs, the same for
	// all notations of the address.
	Path string
	// Offset and Length of the window are in bytes; both are 0 unless
	// Windowed.
	Offset, Length int64
	// Windowed is false for the whole file.
	Windowed bool
	// PCI is the address of the device in the format of sysfs:
	// 0000:00:04.0. It is empty for files.
	PCI string
}

// ParseSpec parses the name of a region like [names.ParseChannel] and
// determines its file; a NAME is in dir.
func ParseSpec(dir, s string) (Spec, error) {
	c, err := names.ParseChannel(s)
	if err != nil {
		return Spec{}, fmt.Errorf("parse channel %q: %w", s, err)
	}
	spec := Spec{Path: c.Path, Offset: c.Offset, Length: c.Length, Windowed: c.Windowed, PCI: c.PCI}
	switch {
	case c.PCI != "":
		spec.Path = device(c.PCI).file(memoryFile)
	case c.File != "":
		spec.Path = filepath.Join(dir, c.File)
	}
	return spec, nil
}
