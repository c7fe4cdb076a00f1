package cli

import (
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// CfgName is the name of the kernel module's tool. A program called by it is
// the command cfg.
const CfgName = "muennet_cfg"

const cfgWord = "cfg"

// cfgCommand returns the command for children and marks. path is what the user
// types to reach it.
func (a *app) cfgCommand(path string) *cobra.Command {
	c := &cobra.Command{
		Use:   path[strings.LastIndexByte(path, ' ')+1:],
		Short: "Add and delete children and their marks",
		Long: `A child is an interface that shares the channels of a parent, which is an
interface with flags=net_hdr. It sends through the parent's out-channel and
receives the packets whose Netfilter mark was added to it; all others arrive on
the parent. "muennet show PARENT" lists children and marks.

Called as muennet_cfg (a link), the program is this command.`,
		Example: "  " + path + " add_child net0 child0 && " + path + ` add_mark child0 7
  iptables -t mangle -A OUTPUT -o child0 -j MARK --set-mark 7`,
	}
	c.AddCommand(
		cfgPart("add_child PARENT CHILD", "Create a child of an interface", path+" add_child net0 child0",
			func(c *cobra.Command, args []string) error {
				return a.client().AddChild(c.Context(), args[0], args[1])
			}),
		cfgPart("del_child CHILD", "Remove a child; its marks return to the parent", path+" del_child child0",
			func(c *cobra.Command, args []string) error {
				return a.client().DeleteChild(c.Context(), args[0])
			}),
		markPart("add_mark CHILD MARK", "Let a child receive the packets of a mark (decimal, or hexadecimal with 0x)", path+" add_mark child0 0x7",
			func(c *cobra.Command, child string, mark uint32) error {
				return a.client().AddMark(c.Context(), child, mark)
			}),
		markPart("del_mark CHILD MARK", "Let the parent receive the packets of a mark again", path+" del_mark child0 7",
			func(c *cobra.Command, child string, mark uint32) error {
				return a.client().DeleteMark(c.Context(), child, mark)
			}),
	)
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, _ []string) error { return cfgUsage(c, path) }
	return c
}

// cfgPart returns a command below cfg.
func cfgPart(use, short, example string, run func(*cobra.Command, []string) error) *cobra.Command {
	arguments := strings.Count(use, " ")
	return &cobra.Command{
		Use: use, Short: short, Example: "  " + example, RunE: run,
		DisableFlagsInUseLine: true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != arguments {
				return usagef("usage: %s", c.UseLine())
			}
			return nil
		},
	}
}

// cfgUsage lists the commands below c.
func cfgUsage(c *cobra.Command, path string) error {
	var uses []string
	for _, part := range c.Commands() {
		if strings.Contains(part.Name(), "_") { // not help or completion
			uses = append(uses, part.Use)
		}
	}
	return usagef("usage: %s %s", path, strings.Join(uses, " | "))
}

// markPart returns a command below cfg with the arguments CHILD MARK.
func markPart(use, short, example string, run func(c *cobra.Command, child string, mark uint32) error) *cobra.Command {
	c := cfgPart(use, short, example, func(c *cobra.Command, args []string) error {
		mark, err := parseMark(args[1])
		if err != nil {
			return err
		}
		return run(c, args[0], mark)
	})
	c.SetFlagErrorFunc(negativeMark)
	return c
}

// negativeMark turns an error about a flag such as -1 into one about a mark.
func negativeMark(_ *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if flag := unknown.GetSpecifiedShortnames(); flag != "" && flag[0] >= '0' && flag[0] <= '9' {
			_, err = parseMark("-" + flag)
		}
	}
	return err
}

// parseMark parses a mark as iptables does, except that a leading 0 does not
// mean octal.
func parseMark(s string) (uint32, error) {
	digits, base := s, 10
	if rest, found := strings.CutPrefix(strings.ToLower(s), "0x"); found {
		digits, base = rest, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, usagef("mark %s: want 1 to 4294967295 (0xffffffff)", s)
	case err != nil:
		return 0, usagef("mark %q: want 1 to 4294967295, decimal or hexadecimal with 0x", s)
	}
	return uint32(n), nil
}
