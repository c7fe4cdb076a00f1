package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/shmstream"
)

func (a *app) channelShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Print the header of a channel",
		Long: `Prints the decoded header, whether a writer holds the channel, and whether a
reader could follow the header in a region of this size. The contents of memory
that is not a channel are not printed.`,
		Example: `  muennet channel show a
  muennet channel show /dev/shm/muennet/a@64K+64K
  muennet channel show pci:00:04.0`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := region.Open(a.directory(), args[0], region.Inspect)
			if err != nil {
				return err
			}
			defer r.Close()
			h, err := header(r)
			if err != nil {
				return err
			}
			out := report{w: a.stdout, width: 11}
			out.line("channel", printable(r.Name()))
			out.line("path", printable(r.Path()))
			out.line("region", fmt.Sprintf("%d bytes", r.Size()))
			out.line("memory", memory(r.Kind().String(), r.Mapping()))
			out.line("writer", writerOf(r))
			consistent := "yes"
			if p := problems(h, r.Size()); len(p) > 0 {
				consistent = "no: " + strings.Join(p, "; ")
			}
			if !region.IsChannel(h, r.Size()) {
				// Its contents may be private: they are not printed.
				out.line("state", "no channel")
				out.line("consistent", consistent)
				return out.err
			}
			state := "active"
			if h.Epoch == 0 {
				state = "inactive"
			}
			out.line("state", state)
			transport := fmt.Sprintf("%#x", h.Transport)
			if h.Transport == shmstream.Transport {
				transport += " (SHMStream 2)"
			}
			out.line("transport", transport)
			out.line("epoch", fmt.Sprintf("%#x", uint64(h.Epoch)))
			out.line("protocol", fmt.Sprintf("%#x", h.Protocol))
			out.line("size", fmt.Sprintf("%d bytes", h.Size))
			out.line("elements", h.Elements)
			out.line("reserved", h.Reserved)
			out.line("wsc", h.WSC)
			out.line("wc", h.WC)
			out.line("consistent", consistent)
			return out.err
		},
	}
}

// header returns a copy of the header of a region that may shrink.
func header(r *region.Region) (h shmstream.Header, err error) {
	var herr error
	if err := region.Guard(func() { h, herr = shmstream.ReadHeader(r.Bytes()) }); err != nil {
		return h, err
	}
	return h, herr
}

// writerOf names the writer of the channel.
func writerOf(r *region.Region) string {
	if !r.WriterLocked() {
		return "none that holds the lock"
	}
	// The list has the holder of each file. Without an entry nothing more is
	// known.
	infos, _ := region.ListWriters(filepath.Dir(r.Path()))
	for _, i := range infos {
		if i.Name == filepath.Base(r.Path()) && i.Writer != 0 {
			return fmt.Sprintf("pid %d", i.Writer)
		}
	}
	return "a process that is not visible from here"
}

// problems lists what prevents a reader from following a header in a region of
// regionSize bytes. It trusts no value before it has checked it. It discloses
// no value of memory that is not a channel.
func problems(h shmstream.Header, regionSize int) []string {
	var p []string
	add := func(format string, args ...any) { p = append(p, fmt.Sprintf(format, args...)) }
	if !region.IsChannel(h, regionSize) {
		add("transport is not %#x: not a channel", shmstream.Transport)
		return p
	}
	if h.Epoch == 0 {
		return p // the rest has no meaning before a writer starts
	}
	if h.Protocol == 0 {
		add("protocol is 0")
	}
	room := uint64(max(regionSize-shmstream.HeaderSize, 0))
	switch {
	case h.Size == 0 || h.Size > shmstream.MaxElementSize:
		add("size is not 1..%d", shmstream.MaxElementSize)
	case h.Elements == 0:
		add("elements is 0")
	case h.Elements > room/h.Size:
		add("%d elements of %d bytes need more than the %d bytes behind the header", h.Elements, h.Size, room)
	}
	if h.WSC < h.WC {
		add("wsc is below wc")
	} else if h.Elements > 0 && h.WSC-h.WC > h.Elements {
		add("wsc is more than %d elements ahead of wc", h.Elements)
	}
	return p
}
