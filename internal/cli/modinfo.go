package cli

import (
	"github.com/spf13/cobra"

	"github.com/muennet/muennet/internal/params"
)

func (a *app) modinfoCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "modinfo",
		Short:   "Print description, licence, version and all parameters",
		Example: "  muennet modinfo | grep parm:",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return params.Modinfo(a.stdout, version().Version)
		},
	}
}
