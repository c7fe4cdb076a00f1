package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// settings is what the kernel command line says. With neither auto nor parameters
// there are no interfaces.
type settings struct {
	auto       bool     // make an interface of each pair of channels
	parameters []string // PARAMETER=VALUE
	channels   string   // directory; "" for the default
	addresses  []address
	run        []string // program and arguments
}

// address is an address for an interface, with the length of its network's prefix.
type address struct {
	name   string
	prefix netip.Prefix
}

// parseWords reads a kernel command line. A word that is wrong is left out and
// told; the others count.
func parseWords(line string) (s settings, err error) {
	for _, word := range split(line) {
		key, value, _ := strings.Cut(word, "=")
		switch parameter, ours := strings.CutPrefix(key, "muennet."); {
		case ours && parameter == "channels":
			s.channels = value
		case ours && parameter == "auto":
			s.auto = true
		case ours:
			s.parameters = append(s.parameters, parameter+"="+value)
		case key == "address":
			err = errors.Join(err, s.addAddresses(value))
		case key == "run":
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

// split cuts a command line into words, as the kernel does: a double quote
// begins or ends a part in which blanks are no ends of words, and is no part of
// the word.
func split(line string) (words []string) {
	var word strings.Builder
	quoted, begun := false, false
	for _, c := range line {
		switch {
		case c == '"':
			quoted, begun = !quoted, true
		case !quoted && strings.ContainsRune(" \t\n", c):
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words
}
