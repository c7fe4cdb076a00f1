package names

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// PCIPrefix is the prefix of the names of PCI devices.
const PCIPrefix = "pci:"

// offsetAlign is the alignment of a window's offset: the header of a channel
// consists of u64 that are accessed atomically.
const offsetAlign = 8

// Channel is a parsed channel name. Exactly one of File, Path and PCI is set.
type Channel struct {
	// File is a name in the channel directory.
	File string
	// Path is absolute and clean.
	Path string
	// PCI is the address of a device in the format of sysfs: 0000:00:04.0.
	PCI string
	// Offset and Length of the window are in bytes; both are 0 unless
	// Windowed.
	Offset, Length int64
	// Windowed is false if c is the whole memory.
	Windowed bool
}

// ParseChannel parses the name of a channel:
//
//	NAME                        a file in the channel directory
//	/absolute/path              a file anywhere
//	pci:DOMAIN:BUS:DEV.FN       BAR 2 of an ivshmem device
//	pci:BUS:DEV.FN              the same, in domain 0000
//	any of them@OFFSET+LENGTH   a window of it
//
// OFFSET is a multiple of 8, and LENGTH is at least 1. Both are sizes as for
// [ParseSize], except that OFFSET may be 0. A NAME contains no '/', is not
// empty, "." or "..", and does not begin with "pci:", so it cannot leave the
// directory. An address is hexadecimal, as printed by lspci(8). An '@' in the
// last element of a path always begins a window.
func ParseChannel(s string) (Channel, error) {
	var c Channel
	name := s
	if at := strings.LastIndexByte(s, '@'); at > strings.LastIndexByte(s, '/') {
		var err error
		if c.Offset, c.Length, err = parseWindow(s[at+1:]); err != nil {
			return Channel{}, err
		}
		c.Windowed = true
		name = s[:at]
	}
	if strings.IndexByte(name, 0) >= 0 {
		return Channel{}, errors.New("want a name without NUL bytes")
	}
	if address, ok := strings.CutPrefix(name, PCIPrefix); ok {
		var err error
		if c.PCI, err = parseAddress(address); err != nil {
			return Channel{}, err
		}
		return c, nil
	}
	if strings.HasPrefix(name, "/") {
		if c.Path = filepath.Clean(name); strings.HasSuffix(name, "/") || c.Path == "/" {
			return Channel{}, errors.New("the path ends with '/': want a file")
		}
		return c, nil
	}
	if err := checkFile(name); err != nil {
		return Channel{}, err
	}
	c.File = name
	return c, nil
}

// Plain reports whether c is a whole file in the channel directory.
func (c Channel) Plain() bool { return c.File != "" && !c.Windowed }

// Whole returns c without its window.
func (c Channel) Whole() Channel { return Channel{File: c.File, Path: c.Path, PCI: c.PCI} }

// In returns c with a NAME replaced by its path in dir, the channel directory.
// An empty dir changes nothing.
func (c Channel) In(dir string) Channel {
	if c.File != "" && dir != "" {
		c.File, c.Path = "", filepath.Join(dir, c.File)
	}
	return c
}

// Overlaps reports whether c and other have bytes in common, judging by their
// names only: it does not detect links, or a path into the channel directory.
func (c Channel) Overlaps(other Channel) bool {
	return c.Whole() == other.Whole() &&
		(!c.Windowed || !other.Windowed || c.Offset < other.Offset+other.Length && other.Offset < c.Offset+c.Length)
}

// CheckNewFile checks the name of a file that is to become a channel, either an
// absolute path or a name in the channel directory. Besides invalid names it
// refuses those that a parameter list cannot contain: there a comma ends an
// entry and '@' begins a window, and the JSON of the control socket only holds
// UTF-8.
func CheckNewFile(name string) error {
	if !utf8.ValidString(name) {
		return errors.New("the name is not UTF-8")
	}
	if i := strings.IndexFunc(name, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '@' || c == ',' }); i >= 0 {
		return fmt.Errorf("the name contains %q: want no '@', no comma, no white space", name[i])
	}
	if strings.HasPrefix(name, "/") {
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	return checkFile(name)
}

// checkFile checks a NAME in the channel directory.
func checkFile(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case name == "." || name == "..":
		return errors.New("the name is a directory")
	case strings.HasPrefix(name, PCIPrefix):
		return fmt.Errorf("names that begin with %q are PCI devices, not files", PCIPrefix)
	case strings.Contains(name, "/"):
		return errors.New("want a name without '/' or an absolute path")
	}
	return nil
}

// parseWindow parses OFFSET+LENGTH.
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

var addressSyntax = regexp.MustCompile(`^(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{2}):([0-9a-fA-F]{2})\.([0-7])$`)

// parseAddress parses [DOMAIN:]BUS:DEV.FN and returns it in the format of
// sysfs.
func parseAddress(s string) (string, error) {
	wrong := fmt.Errorf("device %q: want %sBUS:DEV.FN or %sDOMAIN:BUS:DEV.FN, hexadecimal, such as %s00:04.0", s, PCIPrefix, PCIPrefix, PCIPrefix)
	m := addressSyntax.FindStringSubmatch(s)
	if m == nil {
		return "", wrong
	}
	var domain uint64
	if m[1] != "" {
		domain, _ = strconv.ParseUint(m[1], 16, 32) // cannot fail: the syntax is checked
	}
	if dev, _ := strconv.ParseUint(m[3], 16, 8); dev > 0x1f {
		return "", fmt.Errorf("%w: DEV is 00 to 1f", wrong)
	}
	return fmt.Sprintf("%04x:%s:%s.%s", domain, strings.ToLower(m[2]), strings.ToLower(m[3]), m[4]), nil
}
