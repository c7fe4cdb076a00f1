package params

import (
	"errors"
	"fmt"
	"strings"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/driver"
	"github.com/muennet/muennet/internal/region"
)

// nameSize is the kernel's IFNAMSIZ (linux/if.h): a name and its final NUL.
const nameSize = 16

// CheckName holds the kernel's rules for interface names (dev_valid_name in
// net/core/dev.c), and a little more: no control characters, and no '%' but one
// %d.
func CheckName(name string) error {
	switch {
	case len(name) >= nameSize:
		return fmt.Errorf("%d bytes: want at most %d", len(name), nameSize-1)
	case name == "." || name == "..":
		return fmt.Errorf("the kernel takes neither . nor .. for a name")
	case name == "all" || name == "default":
		// They stand for all interfaces in /proc/sys/net/ipv4/conf.
		return fmt.Errorf("the kernel keeps the names all and default for itself")
	}
	for _, c := range []byte(name) {
		// 0xa0 is a space for the kernel, even within an UTF-8 sequence.
		if c <= ' ' || c == 0x7f || c == 0xa0 || c == '/' || c == ':' {
			return fmt.Errorf("want no '/', ':', white space or control characters")
		}
	}
	if rest := strings.Replace(name, "%d", "", 1); strings.Contains(rest, "%") {
		return fmt.Errorf("want no %% but one %%d")
	}
	return nil
}

func checkChannel(s string) error {
	_, err := region.ParseSpec("", s)
	if inner := errors.Unwrap(err); inner != nil {
		return inner // without the channel, which is named already
	}
	return err
}

// check holds the rules between the parameters of one interface, and drops what
// belongs to an absent direction.
func (e *entry) check() error {
	if e.In == "" && e.Out == "" {
		return e.wrong("in", fmt.Errorf("out is empty as well: want a channel for at least one direction"))
	}
	if err := e.checkProtocol("reader_protocol", "in", e.In, &e.ReaderProtocol); err != nil {
		return err
	}
	if err := e.checkProtocol("writer_protocol", "out", e.Out, &e.WriterProtocol); err != nil {
		return err
	}
	if lowest, highest := e.Format.MTU(); e.MTU != 0 && (e.MTU < lowest || e.MTU > highest) {
		return e.wrong("mtu", fmt.Errorf("want %d to %d with flags=%s", lowest, highest, e.Format))
	}
	if e.PMTU != "" && e.Format != element.NetHdr {
		return e.wrong("pmtu", fmt.Errorf("want none without flags=net_hdr"))
	}
	if e.HardwareAddr != nil && e.Format != element.EthDev {
		return e.wrong("mac", fmt.Errorf("want none without flags=eth_dev"))
	}
	if e.Carrier == driver.CarrierPeer && e.In == "" {
		return e.wrong("carrier", fmt.Errorf("want admin, for there is no in channel to see the peer by"))
	}
	if e.Renew > 0 && (e.In == "" || e.Out == "") {
		return e.wrong("renew", fmt.Errorf("want 0, for it takes both an in and an out channel to see that the peer is stuck"))
	}
	return e.checkSolo()
}

func (e *entry) checkProtocol(parameter, direction, channel string, id *uint64) error {
	if channel == "" {
		*id = 0
		return nil
	}
	if *id == 0 {
		return e.wrong(parameter, fmt.Errorf("missing or 0: want the protocol id of %s=%s, hexadecimal and not 0", direction, channel))
	}
	return nil
}

// checkSolo protects peers that believe the sizes they read.
func (e *entry) checkSolo() error {
	if e.Format != element.EthDev || e.Force || e.MTU == 0 || e.MTU == driver.DefaultMTU {
		return nil
	}
	if e.ReaderProtocol != driver.SoloProtocol && e.WriterProtocol != driver.SoloProtocol {
		return nil
	}
	return e.wrong("mtu", fmt.Errorf(
		"protocol %x is a Solo5/MirageOS peer, which checks no lengths: want %d, or force=1", driver.SoloProtocol, driver.DefaultMTU))
}

// checkTogether holds the rules between the interfaces of one load.
func checkTogether(entries []entry) error {
	owner := make(map[string]int) // position by name
	writers := make(map[string][]writer)
	for i := range entries {
		e := &entries[i]
		if first, taken := owner[e.Name]; taken && !strings.Contains(e.Name, "%d") {
			return e.wrong("name", fmt.Errorf("entry %d has the same name: want each once", first))
		}
		owner[e.Name] = e.position
		if e.Out == "" {
			continue
		}
		spec, err := region.ParseSpec("", e.Out)
		if err != nil {
			return e.wrong("out", err)
		}
		for _, w := range writers[spec.Path] {
			if overlap(w.spec, spec) {
				return e.wrong("out", fmt.Errorf("entry %d writes it already: want one writer for a channel", w.position))
			}
		}
		writers[spec.Path] = append(writers[spec.Path], writer{e.position, spec})
	}
	return nil
}

// writer is a region that the interface at position writes.
type writer struct {
	position int
	spec     region.Spec
}

// overlap tells whether two regions of one file have bytes in common.
func overlap(a, b region.Spec) bool {
	if !a.Windowed || !b.Windowed {
		return true
	}
	return a.Offset < b.Offset+b.Length && b.Offset < a.Offset+a.Length
}
