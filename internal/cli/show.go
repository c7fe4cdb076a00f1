package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/muennet/muennet/api"
)

func (a *app) showCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show [NAME] [--json]",
		Short: "Print the state of interfaces",
		Long: `Prints one "key: value" per line. The first lines are those of the kernel
module's debugfs file; what follows the empty line is known here only. Numbers
count from the creation of the interface. Several interfaces are separated by a
line of dashes. With --json: an array, or with a name one object.`,
		Example: `  muennet show net0
  muennet show --json | jq '.[].reader.peer'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				all, err := a.client().Interfaces(c.Context())
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(a.stdout, all)
				}
				for i, s := range all {
					if i > 0 {
						fmt.Fprintln(a.stdout, "----")
					}
					if err := printStatus(a.stdout, s); err != nil {
						return err
					}
				}
				return nil
			}
			one, err := a.client().Interface(c.Context(), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.stdout, one)
			}
			return printStatus(a.stdout, one)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printStatus prints one interface: the module's lines as the module writes
// them, because scripts read those, then ours.
func printStatus(w io.Writer, s api.Interface) error {
	module := report{w: w}
	module.line("name", s.Name)
	module.line("in/out", orNone(s.In)+"/"+orNone(s.Out))
	module.line("mtu", s.MTU)
	flags := s.Mode
	if flags == "raw" {
		flags = "(none)"
	}
	module.line("flags", flags)
	module.line("poll", fmt.Sprintf("every %d µs", s.Poll*1000))
	if s.Writer != nil {
		module.end("writer", s.Writer.Channel)
	} else {
		module.text("writer is disabled")
	}
	if s.Reader != nil {
		module.end("reader", s.Reader.Channel)
	} else {
		module.text("reader is disabled")
	}
	module.line("stats.rx_packets", s.Stats.RxPackets)
	module.line("stats.rx_bytes", s.Stats.RxBytes)
	module.line("stats.rx_errors", s.Stats.RxErrors)
	module.line("stats.rx_over_errors", s.Stats.RxOverErrors)
	module.line("stats.rx_frame_errors", s.Stats.RxFrameErrors)
	module.line("stats.tx_packets", s.Stats.TxPackets)
	module.line("stats.tx_bytes", s.Stats.TxBytes)
	module.text("")

	ours := report{w: w, width: 24, err: module.err}
	ours.some("stale", s.Stale)
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
	ours.marks("", s.Marks)
	for _, c := range s.Children {
		ours.child(c)
	}
	return ours.err
}

// renewal says in words after how many seconds a peer that is stuck gets a new epoch.
func renewal(seconds int) string {
	if seconds == 0 {
		return "never"
	}
	return fmt.Sprintf("after %d s", seconds)
}

// end prints the two lines the module has for one end of a channel.
func (r *report) end(which string, c api.Channel) {
	if !c.Enabled {
		r.text(which + " is disabled")
		return
	}
	r.text(which + " is enabled")
	r.line(which+".element_size", c.ElementSize)
}

// channel prints what is the same for writer and reader.
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
