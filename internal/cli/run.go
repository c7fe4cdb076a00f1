package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/internal/daemon"
	"github.com/muennet/muennet/internal/journal"
	"github.com/muennet/muennet/internal/pairing"
)

// readyFD is the descriptor of a background process for the pipe on which its
// starter waits.
const readyFD = 3

// devLog is the socket of the system log.
const devLog = "/dev/log"

func (a *app) runCommand() *cobra.Command {
	var from sources
	var start startConfig
	var auto autoConfig
	var background bool
	c := &cobra.Command{
		Use:   "run [--config FILE] [--cmdline] [auto [--strict] [--dry-run]] [PARAM=VALUE ...]",
		Short: "Run in the foreground",
		Long: `Creates the given interfaces, if any, and removes all interfaces again at
SIGTERM, SIGINT or SIGHUP. It reports readiness when the interfaces exist: to the
service manager (sd_notify) and in the log, which goes to stderr.

In the first 10 seconds of a stop, more signals have no effect. SIGQUIT and
SIGABRT end muennet with a stack trace and leave the interfaces, as a crash does:
the next load takes them over, unload removes them. SIGUSR1, SIGUSR2, SIGPIPE
and the like have no effect.

` + autoHelp + `

"muennet modinfo" lists the parameters.`,
		Example: `  muennet run name=net0 in=a out=b flags=net_hdr reader_protocol=12 writer_protocol=12
  muennet run --config /etc/modprobe.d/muennet.conf --log-format json
  muennet run auto`,
		RunE: func(c *cobra.Command, args []string) error {
			surviveSignals()
			if background {
				return a.runBackground(c, start)
			}
			args, err := a.withSources(from, args)
			if err != nil {
				return err
			}
			var r request
			if len(args) > 0 || auto != (autoConfig{}) {
				if r, err = a.request(args, auto); err != nil {
					return err
				}
			}
			h, err := a.handler(c.ErrOrStderr(), slog.HandlerOptions{})
			if err != nil {
				return err
			}
			a.serves = true
			q := journal.NewQueue(h)
			defer q.Flush(flushTime)
			log := slog.New(q)
			done, err := a.settle(r, auto, func(s pairing.Skipped) { log.Warn("channels skipped", "name", s.Name, "reason", s.Reason) })
			if done || err != nil {
				return err
			}
			r.load.Channels = a.directory()
			return daemon.Run(c.Context(), daemon.Config{Control: a.control, Group: start.group, Load: r.load,
				NoBPF: start.noBPF, Version: version(), Logger: log})
		},
	}
	from.flags(c)
	start.flags(c)
	auto.flags(c)
	c.Flags().BoolVar(&background, "background", false, "started by load: report readiness on descriptor 3")
	c.Flags().MarkHidden("background")
	return c
}

// startConfig holds the options of a daemon that can only be set at its start.
type startConfig struct {
	group string
	noBPF bool
}

func (s *startConfig) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.group, "control-group", "", "`group` (name or number) whose members may load channels by plain name, unload, and change children and marks")
	c.Flags().BoolVar(&s.noBPF, "no-bpf", false, "load no eBPF programs: marks are not carried, as on a kernel without them")
	c.Flags().MarkHidden("no-bpf") // for tests
}

// runBackground is the daemon that load starts. It begins without interfaces,
// logs to syslog or a file, and sends readiness or the reason of a failure to
// its starter.
func (a *app) runBackground(c *cobra.Command, start startConfig) error {
	unix.CloseOnExec(readyFD)
	// It has neither a terminal nor a configuration to read again.
	signal.Ignore(unix.SIGHUP)
	setProcessName("muennet")
	pipe := os.NewFile(readyFD, "ready")
	h, err := a.backgroundHandler(devLog)
	if err == nil {
		q := journal.NewQueue(h)
		defer q.Flush(flushTime)
		h = q
		err = daemon.Run(c.Context(), daemon.Config{Control: a.control, Group: start.group, NoBPF: start.noBPF, Brief: true,
			Load: muennet.Load{Channels: a.directory()}, Version: version(), Logger: slog.New(h),
			Ready: func() {
				fmt.Fprintln(pipe, wordReady)
				pipe.Close()
			}})
	}
	if err == nil {
		return nil
	}
	word := wordError
	var inUse *daemon.InUseError
	if errors.As(err, &inUse) {
		word = wordBusy
	}
	// After readiness the pipe is closed, and this has no effect.
	fmt.Fprintln(pipe, word, strings.TrimSpace(oneLine(err)))
	pipe.Close()
	if h != nil {
		slog.New(h).Error("ended", "err", err)
	}
	return err
}
