package names

import (
	"errors"
	"fmt"
	"strings"
)

// maxInterface is the maximum length of an interface name in bytes. The
// kernel's IFNAMSIZ (linux/if.h) includes the final NUL.
const maxInterface = 15

// CheckInterface checks the kernel's rules for interface names (dev_valid_name
// in net/core/dev.c), and two more: no control characters, and no '%' except
// one %d, which the kernel replaces by the first free number.
func CheckInterface(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > maxInterface:
		return fmt.Errorf("%d bytes: want at most %d", len(name), maxInterface)
	case name == "." || name == "..":
		return errors.New("the kernel refuses . and .. as names")
	case name == "all" || name == "default":
		// They stand for all interfaces in /proc/sys/net/ipv4/conf.
		return errors.New("the kernel reserves the names all and default")
	}
	for _, c := range []byte(name) {
		// 0xa0 is a space for the kernel, even within a UTF-8 sequence.
		if c <= ' ' || c == 0x7f || c == 0xa0 || c == '/' || c == ':' {
			return errors.New("want no '/', ':', white space or control characters")
		}
	}
	if rest := strings.Replace(name, "%d", "", 1); strings.Contains(rest, "%") {
		return errors.New("want no % except one %d")
	}
	return nil
}
