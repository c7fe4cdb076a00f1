package region

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// offsetAlign is what a window's offset must be a multiple of: the header of a
// channel is made of u64 that are accessed atomically.
const offsetAlign = 8

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

// ParseSpec reads the name of a region:
//
//	NAME                        a file in dir
//	/absolute/path              a file anywhere
//	pci:DOMAIN:BUS:DEV.FN       BAR 2 of an ivshmem device
//	pci:BUS:DEV.FN              the same, in domain 0000
//	any of them@OFFSET+LENGTH   a window of it
//
// OFFSET is a multiple of 8, LENGTH at least 1; both are sizes as [ParseSize]
// takes them, except that OFFSET may be 0. A NAME holds no '/', is not empty,
// "." or "..", and does not begin with "pci:": it cannot leave dir. An address is hexadecimal, as
// lspci(8) prints it. An '@' in the last part of a path always begins a window.
func ParseSpec(dir, s string) (Spec, error) {
	spec, err := parseSpec(dir, s)
	if err != nil {
		return Spec{}, fmt.Errorf("parse channel %q: %w", s, err)
	}
	return spec, nil
}

func parseSpec(dir, s string) (Spec, error) {
	var spec Spec
	name := s
	if at := strings.LastIndexByte(s, '@'); at > strings.LastIndexByte(s, '/') {
		var err error
		if spec.Offset, spec.Length, err = parseWindow(s[at+1:]); err != nil {
			return Spec{}, err
		}
		spec.Windowed = true
		name = s[:at]
	}
	if strings.IndexByte(name, 0) >= 0 {
		return Spec{}, fmt.Errorf("a name holds no NUL byte")
	}
	if address, ok := strings.CutPrefix(name, pciPrefix); ok {
		var err error
		if spec.PCI, err = parseAddress(address); err != nil {
			return Spec{}, err
		}
		spec.Path = device(spec.PCI).file(memoryFile)
		return spec, nil
	}
	if strings.HasPrefix(name, "/") {
		if spec.Path = filepath.Clean(name); strings.HasSuffix(name, "/") || spec.Path == "/" {
			return Spec{}, fmt.Errorf("the path ends with '/': a file is wanted")
		}
		return spec, nil
	}
	if err := checkName(name); err != nil {
		return Spec{}, err
	}
	spec.Path = filepath.Join(dir, name)
	return spec, nil
}

// checkName holds the rules of a NAME in the channel directory.
func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the name is empty")
	case name == "." || name == "..":
		return fmt.Errorf("the name is a directory")
	case strings.HasPrefix(name, pciPrefix):
		return fmt.Errorf("names that begin with %q are PCI devices, not files", pciPrefix)
	case strings.Contains(name, "/"):
		return fmt.Errorf("a name holds no '/' (or give an absolute path)")
	}
	return nil
}

// parseWindow reads OFFSET+LENGTH.
func parseWindow(s string) (offset, length int64, err error) {
	o, l, ok := strings.Cut(s, "+")
	if !ok {
		return 0, 0, fmt.Errorf("window %q: want @OFFSET+LENGTH, such as @64K+1M", s)
	}
	if offset, err = parseBytes(o); err != nil {
		return 0, 0, fmt.Errorf("window offset: %w", err)
	}
	if offset%offsetAlign != 0 {
		return 0, 0, fmt.Errorf("window offset %d: want a multiple of %d", offset, offsetAlign)
	}
	if length, err = ParseSize(l); err != nil {
		return 0, 0, fmt.Errorf("window length: %w", err)
	}
	if offset+length < 0 {
		return 0, 0, fmt.Errorf("window %q: its end does not fit in 63 bits", s)
	}
	return offset, length, nil
}

// units are the suffixes of sizes, largest first.
var units = []struct {
	suffix string
	shift  uint
}{{"G", 30}, {"M", 20}, {"K", 10}}

// ParseSize reads a number of bytes, 1 to 2^63-1: decimal digits with an
// optional K, M or G for 2^10, 2^20 or 2^30.
func ParseSize(s string) (int64, error) {
	n, err := parseBytes(s)
	if err == nil && n == 0 {
		err = fmt.Errorf("size %q: want at least 1", s)
	}
	return n, err
}

// parseBytes is ParseSize with 0 allowed.
func parseBytes(s string) (int64, error) {
	digits, shift := s, uint(0)
	for _, u := range units {
		if d, ok := strings.CutSuffix(s, u.suffix); ok {
			digits, shift = d, u.shift
			break
		}
	}
	// 63 bits less the shift, so that the product cannot overflow. ParseUint
	// takes no sign; base 10 takes no underscores and no prefix.
	n, err := strconv.ParseUint(digits, 10, 63-int(shift))
	if err != nil {
		return 0, fmt.Errorf("size %q: want a number with an optional K, M or G, below 2^63", s)
	}
	return int64(n) << shift, nil
}

// formatSize writes n as ParseSize reads it, with the largest unit that is exact.
func formatSize(n int64) string {
	for _, u := range units {
		if n > 0 && n&(1<<u.shift-1) == 0 {
			return strconv.FormatInt(n>>u.shift, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}
