package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/config"
)

func (a *app) showCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show [NAME] [--json]",
		Short: "Print the state of interfaces",
		Long: `Prints one "key: value" per line. The lines up to the empty one are those of the
kernel module's debugfs file, with the same values: the number in "poll:" is that
of poll=, milliseconds despite its unit, and the reader counts as enabled once it
has seen a compatible writer. Counters begin at 0 with the load. Lines of dashes
separate interfaces. NAME may be a child, which has the channels of its parent.

With --json: an array of interfaces, or with NAME one object.`,
		Example: `  muennet show net0
  muennet show --json | jq '.[].reader.peer'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			show := func(one any, text func() error) error {
				if asJSON {
					return printJSON(a.stdout, one)
				}
				return text()
			}
			if len(args) == 0 {
				all, err := a.client().Interfaces(c.Context())
				if err != nil {
					return err
				}
				return show(all, func() error { return printAll(a.stdout, all) })
			}
			one, err := a.client().Interface(c.Context(), args[0])
			if errors.Is(err, api.ErrChild) {
				parent, child, err := a.family(c.Context(), args[0])
				if err != nil {
					return err
				}
				return show(child, func() error { return printChild(a.stdout, parent, child) })
			}
			if err != nil {
				return err
			}
			return show(one, func() error { return printStatus(a.stdout, one) })
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// family returns the child of that name with its parent.
func (a *app) family(ctx context.Context, name string) (parent api.Interface, child api.Child, err error) {
	all, err := a.client().Interfaces(ctx)
	if err != nil {
		return parent, child, err
	}
	for _, s := range all {
		for _, c := range s.Children {
			if c.Name == name {
				return s, c, nil
			}
		}
	}
	return parent, child, fmt.Errorf("interface %s: %w", name, api.ErrUnknown) // deleted since
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func printAll(w io.Writer, all []api.Interface) error {
	for i, s := range all {
		if i > 0 {
			fmt.Fprintln(w, "----")
		}
		if err := printStatus(w, s); err != nil {
			return err
		}
	}
	return nil
}

// module prints the lines of the kernel module's debugfs file, with its keys
// and values, because scripts read them.
func (r *report) module(name string, s api.Interface) {
	r.line("name", name)
	r.line("in/out", s.In+":"+s.Out)
	r.line("mtu", s.MTU)
	flags := s.Mode
	if flags == "raw" {
		flags = "(none)"
	}
	r.line("flags", flags)
	r.line("poll", fmt.Sprintf("every %d µs", s.Poll)) // the module's unit is wrong
	if s.Writer != nil && s.Writer.Enabled {
		r.end("writer", s.Writer.ElementSize)
	} else {
		r.end("writer", 0)
	}
	// The module learns the size from a writer, and keeps it.
	if s.Reader != nil && s.Reader.Error == "" {
		r.end("reader", s.Reader.SeenElementSize)
	} else {
		r.end("reader", 0)
	}
	r.line("stats.rx_packets", s.Stats.RxPackets)
	r.line("stats.rx_bytes", s.Stats.RxBytes)
	r.line("stats.rx_errors", s.Stats.RxErrors)
	r.line("stats.rx_over_errors", s.Stats.RxOverErrors)
	r.line("stats.rx_frame_errors", s.Stats.RxFrameErrors)
	r.line("stats.tx_packets", s.Stats.TxPackets)
	r.line("stats.tx_bytes", s.Stats.TxBytes)
}

// end prints the module's lines for one end of a channel; size is 0 while it is
// disabled.
func (r *report) end(which string, size int) {
	if size == 0 {
		r.text(which + " is disabled")
		return
	}
	r.text(which + " is enabled")
	r.line(which+".element_size", size)
}

// printStatus prints one interface: the module's lines, then ours.
func printStatus(w io.Writer, s api.Interface) error {
	module := report{w: w}
	module.module(s.Name, s)
	module.text("")

	ours := report{w: w, width: 24, err: module.err}
	ours.some("stale", s.Stale)
	ours.line("poll.longest", pollTime(s.Poll))
	ours.line("stats.rx_dropped", s.Stats.RxDropped)
	ours.line("stats.tx_dropped", s.Stats.TxDropped)
	ours.line("stats.rx_oversize", s.Oversize)
	for _, reason := range sortedKeys(s.Drops) {
		ours.line("drops."+reason, s.Drops[reason])
	}
	ours.line("ifindex", s.Index)
	ours.line("netns", netNS(s.NetNS))
	ours.line("up", yesNo(s.Up))
	ours.line("carrier", s.Carrier)
	ours.some("mac", s.MAC)
	ours.line("renew", renewal(s.Renew))
	ours.line("adopted", yesNo(s.Adopted))
	ours.line("offload", s.Offload)
	ours.line("offload.merged", s.Merged)
	ours.some("pmtu", s.PMTU)
	ours.some("pmtu.file", s.PMTUFile)
	if wr := s.Writer; wr != nil {
		ours.channel("writer", wr.Channel)
		ours.line("writer.written", wr.Written)
		ours.line("writer.rings", wr.Rings)
		ours.line("writer.ring_errors", wr.RingErrors)
		ours.line("writer.waits", wr.Waits)
		ours.line("writer.renewals", wr.Renewals)
	}
	if rd := s.Reader; rd != nil {
		ours.channel("reader", rd.Channel)
		peer := rd.Peer
		if rd.Reason != "" {
			peer += ": " + rd.Reason
		}
		ours.line("reader.peer", peer)
		ours.line("reader.epochs", rd.Epochs)
		ours.line("reader.overruns", rd.Overruns)
		ours.line("reader.lost", rd.Lost)
		ours.line("reader.protocol_errors", rd.ProtocolErrors)
		ours.line("reader.wakeups", rd.Wakeups)
		ours.line("reader.timeouts", rd.Timeouts)
	}
	ours.marks("", s.Marking)
	for _, c := range s.Children {
		ours.child(c)
	}
	return ours.err
}

// pollTime returns the longest sleep as text.
func pollTime(ms int) string {
	if ms == 0 {
		return config.ShortestPoll.String()
	}
	return (time.Duration(ms) * time.Millisecond).String()
}

// renewal says when a peer that is stuck gets a new epoch.
func renewal(seconds int) string {
	if seconds == 0 {
		return "never"
	}
	return fmt.Sprintf("after %d s", seconds)
}

// channel prints what writer and reader have in common.
func (r *report) channel(which string, c api.Channel) {
	r.line(which+".region", fmt.Sprintf("%s (%d bytes)", c.Region, c.RegionSize))
	r.some(which+".memory", memory(c.Memory, c.Mapping))
	r.some(which+".owner", c.Owner)
	r.some(which+".error", c.Error)
	r.some(which+".file", c.File)
	if c.Replaced > 0 {
		r.line(which+".replaced", c.Replaced)
	}
	r.line(which+".protocol", c.Protocol)
	r.line(which+".epoch", c.Epoch)
	r.line(which+".elements", c.Elements)
	bell := c.Doorbell
	if c.DoorbellError != "" {
		bell += ": " + c.DoorbellError
	}
	r.line(which+".doorbell", bell)
}
