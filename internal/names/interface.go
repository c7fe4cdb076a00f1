package names

import (
	"errors"
	"fmt"
	"strings"
)

// maxInterface is the longest name of an interface in bytes: the kernel's
// IFNAMSIZ (linux/if.h) counts the final NUL.
const maxInterface = 15

// CheckInterface holds the kernel's rules for interface names (dev_valid_name in
// net/core/dev.c), and a little more: no control characters, and no '%' but one
// %d, which the kernel replaces by the first free number.
func CheckInterface(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > maxInterface:
		return fmt.Errorf("%d bytes: want at most %d", len(name), maxInterface)
	case name == "." || name == "..":
		return errors.New("the kernel takes neither . nor .. for a name")
	case name == "all" || name == "default":
		// They stand for all interfaces in /proc/sys/net/ipv4/conf.
		return errors.New("the kernel keeps the names all and default for itself")
	}
	for _, c := range []byte(name) {
		// 0xa0 is a space for the kernel, even within an UTF-8 sequence.
		if c <= ' ' || c == 0x7f || c == 0xa0 || c == '/' || c == ':' {
			return errors.New("want no '/', ':', white space or control characters")
		}
	}
	if rest := strings.Replace(name, "%d", "", 1); strings.Contains(rest, "%") {
		return errors.New("want no % but one %d")
	}
	return nil
}
