package cli

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/shmstream"
)

// list prints what a request of auto would load, and the present contents of
// the channels: two lines per interface, then warnings, then what was skipped.
func (a *app) list(r request) error {
	t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tFLAGS\tMTU\tWAY\tCHANNEL\tSIZE\tMODE\tPROTOCOL\tEPOCH\tFOUND")
	var doubts []string
	for n, i := range r.load.Interfaces {
		p := r.Pairs[n]
		for _, w := range []struct {
			name     string
			channel  region.Info
			protocol uint64
		}{{"in", p.In, i.ReaderProtocol}, {"out", p.Out, i.WriterProtocol}} {
			epoch, found, doubt := look(r.channels, w.channel.Name, w.protocol)
			for _, d := range doubt {
				doubts = append(doubts, fmt.Sprintf("%s: %s: %s", i.Name, printable(w.channel.Name), d))
			}
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%d\t%04o\t%#x\t%s\t%s\n", i.Name, i.Format, cmp.Or(i.MTU, config.DefaultMTU),
				w.name, printable(w.channel.Name), w.channel.Size, w.channel.Mode.Perm(), w.protocol, epoch, found)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	out := report{w: a.stdout}
	for _, d := range doubts {
		out.line("warning", d)
	}
	for _, s := range r.Skipped {
		out.line("skipped", s)
	}
	return out.err
}

// look reads the header of a channel. It returns epoch and protocol as the list
// shows them, and what is wrong with them for a link of this protocol.
func look(dir, name string, protocol uint64) (epoch, found string, doubts []string) {
	r, err := region.Open(dir, name, region.Inspect)
	if err != nil {
		return "?", "?", []string{oneLine(err)}
	}
	defer r.Close()
	h, err := header(r)
	if err != nil {
		return "?", "?", []string{oneLine(err)}
	}
	if p := problems(h, r.Size()); len(p) > 0 {
		doubts = append(doubts, "not consistent: "+strings.Join(p, "; "))
	}
	if !region.IsChannel(h, r.Size()) {
		return "?", "?", doubts
	}
	epoch, found = "inactive", "-"
	if h.Epoch != 0 {
		epoch = fmt.Sprintf("%#x", uint64(h.Epoch))
	}
	// In an inactive channel without a transport, the rest has no meaning.
	if h.Epoch != 0 || h.Transport == shmstream.Transport {
		found = fmt.Sprintf("%#x", h.Protocol)
		if h.Protocol != protocol && h.Protocol != 0 {
			doubts = append(doubts, fmt.Sprintf("the channel has protocol %#x, but %#x would be used", h.Protocol, protocol))
		}
	}
	return epoch, found, doubts
}
