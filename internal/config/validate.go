package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/names"
)

// Validate returns the first rule that l breaks as an [*Error], nil if it
// breaks none. Zero values that select a default are allowed.
func (l Load) Validate() error {
	for _, rule := range []func() *Error{l.checkOwn, l.each(Interface.checkValues), l.each(Interface.checkTogether), l.each(l.checkApart), l.checkNames, l.checkWriters} {
		if e := rule(); e != nil {
			return e
		}
	}
	return nil
}

// each turns a rule for an interface into a rule for the load.
func (l Load) each(rule func(Interface) *Error) func() *Error {
	return func() *Error {
		for n, i := range l.Interfaces {
			if e := rule(i); e != nil {
				e.Index, e.Interface = n, i.Name
				return e
			}
		}
		return nil
	}
}

// wrong returns an error about one field.
func wrong(field string, value any, allowed string, args ...any) *Error {
	return &Error{Index: -1, Field: field, Value: value, Allowed: fmt.Sprintf(allowed, args...)}
}

// within reports whether d is a multiple of lowest, up to highest.
func within(d, lowest, highest time.Duration) bool {
	return d >= lowest && d <= highest && d%lowest == 0
}

// checkOwn checks the load's own fields.
func (l Load) checkOwn() *Error {
	if l.Create != 0 && l.Create < MinCreate {
		return wrong("Create", l.Create, "want at least %d bytes", MinCreate)
	}
	if l.Poll != 0 && l.Poll != PollFastest && !within(l.Poll, MinPoll, MaxPoll) {
		return wrong("Poll", l.Poll, "want whole milliseconds from %v to %v, or PollFastest", MinPoll, MaxPoll)
	}
	if l.BusyPoll != 0 && l.BusyPoll != BusyPollOff && !within(l.BusyPoll, MinBusyPoll, MaxBusyPoll) {
		return wrong("BusyPoll", l.BusyPoll, "want whole microseconds from %v to %v, or BusyPollOff", MinBusyPoll, MaxBusyPoll)
	}
	return nil
}

// checkValues checks the fields of an interface one by one.
func (i Interface) checkValues() *Error {
	if err := names.CheckInterface(i.Name); err != nil {
		return wrong("Name", i.Name, "%v", err)
	}
	if i.Format > element.EthDev {
		return wrong("Format", i.Format, "want raw, net_hdr or eth_dev")
	}
	for _, c := range []struct{ field, name string }{{"In", i.In}, {"Out", i.Out}, {"PMTU", i.PMTU}} {
		if _, err := names.ParseChannel(c.name); c.name != "" && err != nil {
			return wrong(c.field, c.name, "%v", err)
		}
	}
	if addr := i.HardwareAddr; addr != nil {
		switch {
		case len(addr) != 6:
			return wrong("HardwareAddr", addr, "%d bytes: want 6", len(addr))
		case addr[0]&1 != 0:
			return wrong("HardwareAddr", addr, "a group address: want one whose first byte is even")
		case [6]byte(addr) == [6]byte{}:
			return wrong("HardwareAddr", addr, "want an address other than zero")
		}
	}
	if i.Carrier > CarrierPeer {
		return wrong("Carrier", i.Carrier, "want admin or peer")
	}
	if i.Renew != 0 && i.Renew != RenewOff && !within(i.Renew, MinRenew, MaxRenew) {
		return wrong("Renew", i.Renew, "want whole seconds from %v to %v, or RenewOff", MinRenew, MaxRenew)
	}
	return nil
}

// checkTogether checks the fields of an interface against each other.
func (i Interface) checkTogether() *Error {
	if e := i.checkChannels(); e != nil {
		return e
	}
	if lowest, highest := i.Format.MTU(); i.MTU != 0 && (i.MTU < lowest || i.MTU > highest) {
		return wrong("MTU", i.MTU, "want %d to %d for %s", lowest, highest, i.Format)
	}
	if i.PMTU != "" && i.Format != element.NetHdr {
		return wrong("PMTU", i.PMTU, "want none for %s: only net_hdr has path MTUs", i.Format)
	}
	if i.HardwareAddr != nil && i.Format != element.EthDev {
		return wrong("HardwareAddr", i.HardwareAddr, "want none for %s: only eth_dev has addresses", i.Format)
	}
	if i.Carrier == CarrierPeer && i.In == "" {
		return wrong("Carrier", i.Carrier, "needs an in channel")
	}
	if i.Renew > 0 && (i.In == "" || i.Out == "") {
		return wrong("Renew", i.Renew, "needs an in and an out channel")
	}
	return i.checkSolo()
}

// checkChannels checks the two directions. The protocol id of an absent one
// does not matter.
func (i Interface) checkChannels() *Error {
	switch {
	case i.In == "" && i.Out == "":
		return wrong("In", i.In, "out is empty as well: want a channel for at least one direction")
	case i.In != "" && i.ReaderProtocol == 0:
		return wrong("ReaderProtocol", i.ReaderProtocol, "missing or 0: want the protocol id of in=%s", i.In)
	case i.Out != "" && i.WriterProtocol == 0:
		return wrong("WriterProtocol", i.WriterProtocol, "missing or 0: want the protocol id of out=%s", i.Out)
	}
	return nil
}

// checkApart checks that each direction has its own channel.
func (l Load) checkApart(i Interface) *Error {
	if i.In != "" && i.Out != "" && l.channel(i.In).Overlaps(l.channel(i.Out)) {
		return wrong("Out", i.Out, "overlaps in: want a channel for each direction")
	}
	return nil
}

// channel returns the channel of a valid name.
func (l Load) channel(name string) names.Channel {
	c, _ := names.ParseChannel(name)
	return c.In(l.Channels)
}

// checkSolo protects peers that do not check the sizes they read.
func (i Interface) checkSolo() *Error {
	if i.Format != element.EthDev || i.Force || i.MTU == 0 || i.MTU == DefaultMTU {
		return nil
	}
	if (i.In == "" || i.ReaderProtocol != SoloProtocol) && (i.Out == "" || i.WriterProtocol != SoloProtocol) {
		return nil
	}
	return wrong("MTU", i.MTU, "protocol %x is for Solo5/MirageOS peers, which do not check lengths: want %d, or force=1", SoloProtocol, DefaultMTU)
}

// checkNames checks that interface names are unique.
func (l Load) checkNames() *Error {
	taken := make(map[string]bool)
	for n, i := range l.Interfaces {
		if taken[i.Name] && !strings.Contains(i.Name, "%d") {
			return &Error{n, i.Name, "Name", i.Name, "an earlier interface has the same name"}
		}
		taken[i.Name] = true
	}
	return nil
}

// checkWriters checks that each channel has only one writer.
func (l Load) checkWriters() *Error {
	type writer struct {
		channel names.Channel
		name    string // of the interface
	}
	writers := make(map[names.Channel][]writer) // by the whole file
	for n, i := range l.Interfaces {
		if i.Out == "" {
			continue
		}
		c := l.channel(i.Out)
		for _, w := range writers[c.Whole()] {
			if w.channel.Overlaps(c) {
				return &Error{n, i.Name, "Out", i.Out, fmt.Sprintf("interface %s already writes it: want one writer per channel", w.name)}
			}
		}
		writers[c.Whole()] = append(writers[c.Whole()], writer{c, i.Name})
	}
	return nil
}
