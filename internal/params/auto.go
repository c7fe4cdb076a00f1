package params

import (
	"fmt"
	"strings"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/pairing"
)

// Auto completes the arguments of a load whose channels were found, not named:
// the result has one interface for each of pairs, of which there is at least
// one, and is what [Parse] takes. Names are net0, net1 and so on in the order of
// pairs, flags are eth_dev, both protocols [config.SoloProtocol].
//
// Arguments override that, entry by entry; an empty entry is not given. A list
// of a single entry counts for all interfaces, but a name without %d and a mac,
// which can be had only once, for the first.
//
// It is an error to name channels, or to give a list more entries than there
// are pairs. What is wrong with an entry itself, Parse will say.
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
			return nil, fmt.Errorf("parameter %s: not together with auto, which finds the channels itself: name them all, or none", a.Name)
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

// defaults are the lists that Auto begins with, by parameter.
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

// sharable tells whether several interfaces can have the single entry of a.
func (a argument) sharable() bool {
	switch a.Name {
	case "name":
		return strings.Contains(a.value, "%d")
	case "mac":
		return false
	}
	return true
}
