package region

import (
	"fmt"
	"path/filepath"

	"github.com/muennet/muennet/internal/names"
)

// plainDir is the channel directory where there is no muenfs; only tests have
// another one.
var plainDir = "/dev/shm/muennet"

// DefaultDir returns the channel directory of this system: /muenfs where a
// muenfs is mounted there, else /dev/shm/muennet (which need not exist yet).
func DefaultDir() string {
	if isMuenfs(muenfsDir) {
		return muenfsDir
	}
	return plainDir
}

// Spec says which bytes a region consists of.
type Spec struct {
	// Path of the file, absolute when the channel directory is. Of a PCI device
	// it is the file of its BAR 2 in sysfs, the same one however the address
	// was written.
	Path string
	// Offset and Length of the window in bytes; both 0 unless Windowed.
	Offset, Length int64
	// Windowed is false for the whole file.
	Windowed bool
	// PCI is the address of the device, as sysfs writes it: 0000:00:04.0. It is
	// empty for files.
	PCI string
}

// ParseSpec reads the name of a region as [names.ParseChannel] does, and finds
// out which file it is; a NAME is one in dir.
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
