package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/client"
	"github.com/muennet/muennet/internal/daemon"
)

func (a *app) unloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unload [NAME ...]",
		Short: "Remove interfaces, as modprobe -r does",
		Long: `With names, removes these interfaces, all or none of them. Without, removes all
interfaces and ends muennet; returns when it is gone.

When muennet does not run, removes what one that crashed has left behind, and
prints the names: interfaces and their children.

A child is not unloaded but deleted: muennet cfg del_child.`,
		Example: `  muennet unload net0 net1
  muennet unload`,
		RunE: func(c *cobra.Command, names []string) error {
			if len(names) > 0 {
				return a.client().Unload(c.Context(), names...)
			}
			err := a.client().Shutdown(c.Context(), api.ShutdownRequest{})
			if errors.Is(err, client.ErrNotRunning) {
				return a.forget(c.ErrOrStderr())
			}
			return err
		},
	}
}

// forget cleans up behind a crashed muennet.
func (a *app) forget(stderr io.Writer) error {
	names, err := daemon.Forget(a.control)
	for _, n := range names {
		fmt.Fprintln(a.stdout, "removed", n)
	}
	var damaged *muennet.DamagedStateError
	if errors.As(err, &damaged) {
		fmt.Fprintln(stderr, "muennet:", damaged)
		return nil
	}
	if err == nil && len(names) == 0 {
		return errors.New("not running and nothing left behind")
	}
	return err
}
