package params

import (
	"fmt"
	"strings"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/pairing"
)

// Auto completes the arguments of a load whose channels were found instead of
// named. The result has one interface for each of pairs, of which there must be
// at least one, and is valid input for [Parse]. Names are net0, net1 and so on
// in the order of pairs, flags are eth_dev, and both protocols
// [config.SoloProtocol].
//
// Arguments override that, entry by entry; empty entries do not. A list with a
// single entry applies to all interfaces. But a name without %d, and a mac,
// which must be unique, only apply to the first.
//
// Naming channels is an error, and so is a list with more entries than pairs.
// Parse reports errors in the entries themselves.
func Auto(args []string, pairs []pairing.Pair) ([]string, error) {
	given, err := split(args)
	if err != nil {
		return nil, err
	}
	lists := defaults(pairs)
	var whole []string
	for _, a := range given {
		switch {
		case a.Name == "in" || a.Name == "out":
			return nil, fmt.Errorf("parameter %s: not together with auto, which finds the channels itself", a.Name)
		case a.global != nil:
			whole = append(whole, a.Name+"="+a.value)
			continue
		case a.value == "":
			continue
		}
		entries := strings.Split(a.value, ",")
		if len(entries) > len(pairs) {
			return nil, fmt.Errorf("parameter %s: %d entries: want at most %d, one for each pair of channels", a.Name, len(entries), len(pairs))
		}
		if len(entries) == 1 && a.sharable() {
			for len(entries) < len(pairs) {
				entries = append(entries, entries[0])
			}
		}
		if lists[a.Name] == nil {
			lists[a.Name] = make([]string, len(pairs))
		}
		for i, e := range entries {
			if e != "" {
				lists[a.Name][i] = e
			}
		}
	}
	var complete []string
	for _, d := range table {
		if list := lists[d.Name]; list != nil {
			complete = append(complete, d.Name+"="+strings.Join(list, ","))
		}
	}
	return append(complete, whole...), nil
}

// defaults returns the default lists of Auto, by parameter.
func defaults(pairs []pairing.Pair) map[string][]string {
	lists := make(map[string][]string)
	add := func(name, entry string) { lists[name] = append(lists[name], entry) }
	for i, p := range pairs {
		add("name", fmt.Sprintf("net%d", i))
		add("in", p.In.Name)
		add("out", p.Out.Name)
		add("reader_protocol", fmt.Sprintf("%x", config.SoloProtocol))
		add("writer_protocol", fmt.Sprintf("%x", config.SoloProtocol))
		add("flags", element.EthDev.String())
	}
	return lists
}

// sharable reports whether several interfaces can have the single entry of a.
func (a argument) sharable() bool {
	switch a.Name {
	case "name":
		return strings.Contains(a.value, "%d")
	case "mac":
		return false
	}
	return true
}
