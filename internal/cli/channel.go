package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/muennet/muennet/internal/names"
	"github.com/muennet/muennet/internal/region"
)

func (a *app) channelCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "channel",
		Short: "Create, list and inspect channels",
		Long: `These commands work on the shared memory itself. NAME is a file in the channel
directory, an /absolute/path, or pci:BUS:DEV.FN for the memory of an ivshmem
device of a virtual machine (pci:DOMAIN:BUS:DEV.FN if there are several domains).
With @OFFSET+LENGTH, show and dump use a window of it; create does with pci:
only. list, show and dump never disturb a channel: they map it read-only.`,
		Example: `  muennet channel create a --size 1M
  muennet channel create pci:00:04.0@0+1M
  muennet channel show a`,
		RunE: needCommand,
	}
	c.AddCommand(a.channelCreate(), a.channelList(), a.channelShow(), a.channelDump())
	return c
}

func (a *app) channelCreate() *cobra.Command {
	var size, mode string
	var ifMissing bool
	c := &cobra.Command{
		Use:   "create NAME [--size SIZE] [--mode MODE] [--if-missing]",
		Short: "Create the file of a channel, filled with zeros",
		Long: `Creates the file of a channel, filled with zeros: NAME in the channel directory,
which is created if needed, or an absolute path in an existing directory. With
--if-missing, an existing file of the same size and mode is left as it is; one of
another size or mode is an error.

The memory of pci:BUS:DEV.FN exists already. The device is checked and enabled,
and its memory, or the window @OFFSET+LENGTH of it, becomes an inactive channel of
zeros. If a writer is active, nothing is changed. The size is that of the memory,
so --size is not needed. There is no mode.

The channels of a muenfs are defined by the system's policy and cannot be
created.`,
		Example: `  muennet channel create a
  muennet channel create 'net0|out' --size 4M --mode 0660
  muennet channel create pci:00:04.0@1M+1M`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := names.ParseSize(size)
			if err != nil {
				return usagef("--size: %w", err)
			}
			if region.IsPCI(args[0]) {
				if c.Flags().Changed("mode") {
					return usagef("--mode: %s is the memory of a device, which has no mode", args[0])
				}
				if ifMissing {
					return usagef("--if-missing: the memory of %s is always there", args[0])
				}
				if !c.Flags().Changed("size") {
					n = 0
				}
				return region.Prepare(args[0], n)
			}
			m, err := strconv.ParseUint(mode, 8, 32)
			if err != nil || m > 0o777 {
				return usagef("--mode: %q is not an octal number from 0 to 0777", mode)
			}
			if !ifMissing {
				return region.Create(a.directory(), args[0], n, fs.FileMode(m))
			}
			made, err := region.CreateMissing(a.directory(), args[0], n, fs.FileMode(m))
			if made || err != nil {
				return err
			}
			return region.CheckFile(a.directory(), args[0], n, fs.FileMode(m))
		},
	}
	c.Flags().StringVar(&size, "size", "1M", "size in `bytes`, optionally with K, M or G")
	c.Flags().StringVar(&mode, "mode", "0600", "permission `bits` of the file, octal")
	c.Flags().BoolVar(&ifMissing, "if-missing", false, "accept an existing file of this size and mode")
	return c
}

func (a *app) channelList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the channels with size, mode and writer",
		Long: `Lists the channels of the channel directory, and the ivshmem devices of a
virtual machine with their address and the size of their shared memory. The
writer is a process of this machine; for a device, one that holds any window.`,
		Example: `  muennet channel list
  muennet channel list --channels /dev/shm/other`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			infos, err := region.ListWriters(a.directory())
			devices := region.Devices()
			// With devices, the default directory may be missing.
			if err != nil && (a.channels != "" || len(devices) == 0 || !errors.Is(err, fs.ErrNotExist)) {
				return err
			}
			t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "NAME\tSIZE\tMODE\tWRITER")
			for _, i := range append(infos, devices...) {
				writer := "-"
				if i.Writer != 0 {
					writer = fmt.Sprintf("pid %d", i.Writer)
				}
				fmt.Fprintf(t, "%s\t%d\t%04o\t%s\n", printable(i.Name), i.Size, i.Mode.Perm(), writer)
			}
			return t.Flush()
		},
	}
}

// printable quotes a file name that would break a line or a terminal.
func printable(s string) string {
	if q := strconv.Quote(s); q[1:len(q)-1] != s {
		return q
	}
	return s
}
