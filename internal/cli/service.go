package cli

import (
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"
)

// warnInService says that the muennet just started will not outlive the service
// that load runs in. A service of type oneshot ends when load returns, and
// systemd then ends all that is left in its control group.
func (a *app) warnInService(c *cobra.Command) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return
	}
	if unit := serviceOf(string(groups), os.LookupEnv); unit != "" {
		a.warn(c, `systemd ends muennet, and removes its interfaces, when %s ends: run "muennet run" there, with Type=notify; with Type=oneshot, "load" needs RemainAfterExit=yes`, unit)
	}
}

// serviceOf returns the name of the systemd service that a process with these
// control groups (the contents of /proc/PID/cgroup) and this environment
// belongs to, "" if it belongs to none. The variables alone do not tell: a
// login shell may have inherited them. Nor does the control group alone: a
// container may run in that of its engine.
func serviceOf(groups string, env func(string) (string, bool)) string {
	_, invoked := env("INVOCATION_ID")
	if _, notifies := env("NOTIFY_SOCKET"); !invoked && !notifies {
		return ""
	}
	for line := range strings.Lines(groups) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		// systemd's hierarchy: version 2, or the one of version 1 that it named.
		if len(fields) != 3 || fields[1] != "" && fields[1] != "name=systemd" {
			continue
		}
		// The innermost unit counts: a service may have groups of its own below.
		for group := fields[2]; group != "/" && group != "."; group = path.Dir(group) {
			switch path.Ext(group) {
			case ".service":
				return path.Base(group)
			case ".scope": // of a session or a container
				return ""
			}
		}
	}
	return ""
}
