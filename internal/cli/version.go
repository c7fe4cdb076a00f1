package cli

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/muennet/muennet/api"
)

// Set by -ldflags "-X github.com/muennet/muennet/internal/cli.release=1.0 ..."
// if the build knows better than the go command.
var release, commit string

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print version, commit and Go version",
		Example: "  muennet version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := version()
			if v.Commit == "" {
				v.Commit = "unknown"
			}
			_, err := fmt.Fprintf(a.stdout, "muennet %s\ncommit:  %s\ngo:      %s\n", v.Version, v.Commit, v.Go)
			return err
		},
	}
}

// version describes the build of this program.
func version() api.Version {
	v := api.Version{Version: release, Commit: commit}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	v.Go = info.GoVersion
	if v.Version == "" {
		v.Version = info.Main.Version
	}
	if v.Version == "" {
		v.Version = "(devel)"
	}
	if v.Commit == "" {
		var dirty string
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				v.Commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = "+dirty"
			}
		}
		if v.Commit != "" {
			v.Commit += dirty
		}
	}
	return v
}
