package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/shmstream"
)

func (a *app) channelDump() *cobra.Command {
	var count uint
	var flags string
	c := &cobra.Command{
		Use:   "dump NAME [--elements N] [--flags raw|net_hdr|eth_dev]",
		Short: "Print the last elements written, with their fields",
		Long: `Prints the last elements written, oldest first: index since the writer started,
fields, and bytes. Elements overwritten during the dump are omitted.

Without --flags the format is guessed: from a known protocol id, from the element
size for an MTU of 1500 (1508 bytes: net_hdr, 1516: eth_dev), or from the contents
of most of the elements.`,
		Example: `  muennet channel dump a
  muennet channel dump a --elements 1 --flags net_hdr`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			format, guess, err := parseFormat(flags)
			if err != nil {
				return usageError{err}
			}
			if count == 0 {
				return usagef("--elements: 0 is not a number of elements")
			}
			r, err := region.Open(a.directory(), args[0], region.Inspect)
			if err != nil {
				return err
			}
			defer r.Close()
			var h shmstream.Header
			var slots []slot
			var perr error
			if err := region.Guard(func() { h, slots, perr = peek(r.Bytes(), uint64(count)) }); err != nil {
				return err
			}
			if perr != nil {
				return fmt.Errorf("dump channel %s: %w", args[0], perr)
			}
			if guess {
				format = guessFormat(h, slots)
			}
			return a.printSlots(h, slots, format, guess)
		},
	}
	c.Flags().UintVar(&count, "elements", 10, "`number` of elements, at most what the channel holds")
	c.Flags().StringVar(&flags, "flags", "", "`format` of the elements: raw, net_hdr or eth_dev")
	return c
}

// parseFormat parses --flags; guess is true if it is empty.
func parseFormat(s string) (f element.Format, guess bool, err error) {
	if s == "" {
		return element.Raw, true, nil
	}
	for _, f := range []element.Format{element.Raw, element.NetHdr, element.EthDev} {
		if s == f.String() {
			return f, false, nil
		}
	}
	return 0, false, fmt.Errorf("--flags: %q is none of raw, net_hdr, eth_dev", s)
}

// guessFormat guesses the format of the elements. The choices of the writer
// come first: a known protocol id, or the element size for an MTU of 1500.
// Otherwise most elements decide: an IP element is consistent in version,
// protocol and length, a frame in its length and the zeros behind it. The
// others may be malformed, which may be what the user is looking for.
func guessFormat(h shmstream.Header, slots []slot) element.Format {
	if h.Protocol == config.SoloProtocol {
		return element.EthDev
	}
	formats := []element.Format{element.NetHdr, element.EthDev}
	for _, f := range formats {
		if h.Size == uint64(f.Size(config.DefaultMTU)) {
			return f
		}
	}
	for _, f := range formats {
		consistent := 0
		for _, s := range slots {
			if d := element.Describe(f, s.data); d.Fault == element.OK && d.Stray == 0 {
				consistent++
			}
		}
		if 2*consistent > len(slots) {
			return f
		}
	}
	return element.Raw
}

func (a *app) printSlots(h shmstream.Header, slots []slot, f element.Format, guess bool) error {
	out := report{w: a.stdout}
	how := ""
	if guess {
		how = " (guessed)"
	}
	out.text(fmt.Sprintf("epoch %#x, protocol %#x, %d elements written, %d bytes each, format %s%s",
		uint64(h.Epoch), h.Protocol, h.WC, h.Size, f, how))
	for _, s := range slots {
		out.text(fmt.Sprintf("\nelement %d: %s", s.index, element.Describe(f, s.data)))
		out.text(strings.TrimSuffix(hexdump(s.data), "\n"))
	}
	return out.err
}
