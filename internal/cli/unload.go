package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/client"
	"github.com/muennet/muennet/internal/daemon"
)

func (a *app) unloadCommand() *cobra.Command {
	var ifLoaded bool
	c := &cobra.Command{
		Use:   "unload [--if-loaded] [NAME ...]",
		Short: "Remove interfaces, as modprobe -r does",
		Long: `With names, removes these interfaces, all or none of them. Without, removes all
interfaces and ends muennet. A muennet that load started also ends with its last
interface. Returns when it has ended.

If no muennet runs, removes the interfaces and children that a crashed one left
behind, and prints their names.

To delete a child, use muennet cfg del_child.`,
		Example: `  muennet unload net0 net1
  muennet unload --if-loaded net0
  muennet unload`,
		RunE: func(c *cobra.Command, names []string) error {
			var err error
			switch {
			case len(names) == 0:
				err = a.client().Shutdown(c.Context(), api.ShutdownRequest{})
				if errors.Is(err, client.ErrNotRunning) {
					err = a.forget(c.ErrOrStderr())
				}
			case ifLoaded:
				err = a.unloadLoaded(c.Context(), names)
			default:
				err = a.client().Unload(c.Context(), names...)
			}
			if ifLoaded && (errors.Is(err, errNothingLeft) || errors.Is(err, client.ErrNotRunning)) {
				return nil
			}
			return err
		},
	}
	c.Flags().BoolVar(&ifLoaded, "if-loaded", false, "ignore what is not loaded")
	return c
}

// unloadLoaded removes the named interfaces that are loaded, all or none of
// them.
func (a *app) unloadLoaded(ctx context.Context, names []string) error {
	all, err := a.client().Interfaces(ctx)
	if err != nil {
		return err
	}
	loaded := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return !slices.ContainsFunc(all, func(i api.Interface) bool {
			return i.Name == name || slices.ContainsFunc(i.Children, func(c api.Child) bool { return c.Name == name })
		})
	})
	return a.client().Unload(ctx, loaded...) // a child is an error there
}

// errNothingLeft says that there was nothing to unload.
var errNothingLeft = errors.New("not running and nothing left behind")

// forget removes what a crashed muennet left behind.
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
		return errNothingLeft
	}
	return err
}
