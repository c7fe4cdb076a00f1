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
		Short: "Make, list and look into channels",
		Long: `The shared memory itself. NAME is a file in the channel directory, an
/absolute/path, or pci:BUS:DEV.FN for the memory of an ivshmem device of a
virtual machine (pci:DOMAIN:BUS:DEV.FN where there are several domains). Show
and dump also take it with @OFFSET+LENGTH for a window of it, create with pci:
only. Looking never disturbs a channel: it is mapped read-only.`,
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
		Short: "Make a channel's file, full of zeros",
		Long: `Makes the file of a channel, full of zeros: NAME in the channel directory, which
is made if need be, or an absolute path, in a directory that is there. With
--if-missing a file that exists is left alone, and an error unless it has this
size and mode.

The memory of pci:BUS:DEV.FN is there already: the device is checked and
enabled, and its memory, or the window of it that @OFFSET+LENGTH names, becomes
an inactive channel of zeros. Where a writer is active nothing is changed. The
size is that of the memory, so --size is not needed; a mode there is none.

The channels of a muenfs are given by the system's policy and not created.`,
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
	c.Flags().StringVar(&size, "size", "1M", "`bytes`, with K, M or G if need be")
	c.Flags().StringVar(&mode, "mode", "0600", "permission `bits` of the file, octal")
	c.Flags().BoolVar(&ifMissing, "if-missing", false, "leave a file that exists alone if it has this size and mode")
	return c
}

func (a *app) channelList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the channels with size, mode and writer",
		Long: `Lists the channels of the channel directory, and the ivshmem devices of a
virtual machine: of these the address, and the size of the memory they share.
The writer is a process of this machine, of a device one that holds any window.`,
		Example: `  muennet channel list
  muennet channel list --channels /dev/shm/other`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			infos, err := region.ListWriters(a.directory())
			devices := region.Devices()
			// Where there are devices nobody needs the default directory.
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

// printable quotes a file name that would spoil a line or a terminal.
func printable(s string) string {
	if q := strconv.Quote(s); q[1:len(q)-1] != s {
		return q
	}
	return s
}
