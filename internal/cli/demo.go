package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/muennet/muennet/internal/demo"
)

func (a *app) demoCommand() *cobra.Command {
	var each time.Duration
	var inside bool
	c := &cobra.Command{
		Use:   "demo [--time DURATION]",
		Short: "Show two hosts that talk over shared memory",
		Long: `Creates two network namespaces, runs a muennet in each with crossed channels, and
shows that they work: ping, TCP and UDP over net0 (flags=net_hdr), ARP and ping
over net1 (flags=eth_dev), and the counters. It touches nothing outside and leaves
nothing behind.

Needs root, or unprivileged user namespaces and a /dev/net/tun that this user may
open. It needs no other program.`,
		Example: `  muennet demo
  muennet demo --time 10s`,
		Args: func(_ *cobra.Command, args []string) error {
			if inside && len(args) == 1 || len(args) == 0 {
				return nil
			}
			return fmt.Errorf("demo takes no argument: %q", args[0])
		},
		RunE: func(c *cobra.Command, args []string) error {
			if each <= 0 {
				return usagef("--time: %v is not above 0", each)
			}
			cfg := demo.Config{Time: each, Out: a.stdout}
			if inside {
				return demo.Inside(c.Context(), cfg, args[0])
			}
			if err := demo.Run(c.Context(), cfg, "demo", "--inside", "--time", each.String()); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			return nil
		},
	}
	c.Flags().DurationVar(&each, "time", demo.DefaultTime, "`duration` of each measurement of throughput")
	c.Flags().BoolVar(&inside, "inside", false, "show everything here: the namespaces exist")
	c.Flags().MarkHidden("inside")
	return c
}
