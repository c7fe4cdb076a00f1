package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/muennet/muennet"
)

// settings is what the kernel command line says. With neither Auto nor
// Parameters there are no interfaces.
type settings struct {
	muennet.CommandLine
	addresses []address
	run       []string // program and arguments
}

// address is an address for an interface, with the length of its network's
// prefix.
type address struct {
	name   string
	prefix netip.Prefix
}

// parseWords reads the words of a kernel command line that are ours. One that
// is wrong is left out and told; the others count.
func parseWords(line muennet.CommandLine) (s settings, err error) {
	s.CommandLine = line
	for _, word := range line.Others {
		switch key, value, _ := strings.Cut(word, "="); key {
		case "address":
			err = errors.Join(err, s.addAddresses(value))
		case "run":
			s.run = strings.Fields(value)
		}
	}
	return s, err
}

func (s *settings) addAddresses(list string) (err error) {
	for entry := range strings.SplitSeq(list, ",") {
		name, text, _ := strings.Cut(entry, "=")
		prefix, e := netip.ParsePrefix(text)
		if e != nil || name == "" {
			err = errors.Join(err, fmt.Errorf("address %q: want NAME=ADDRESS/BITS, such as net0=10.0.0.1/24", entry))
			continue
		}
		s.addresses = append(s.addresses, address{name, prefix})
	}
	return err
}
