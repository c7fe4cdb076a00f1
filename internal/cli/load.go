package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/client"
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/pairing"
	"github.com/muennet/muennet/internal/params"
)

func (a *app) loadCommand() *cobra.Command {
	var options string
	var from sources
	var start startConfig
	var auto autoConfig
	c := &cobra.Command{
		Use:   "load [--config FILE] [--cmdline] [auto [--strict] [--dry-run]] [PARAM=VALUE ...]",
		Short: "Create interfaces, as modprobe does",
		Long: `Returns when the interfaces exist. They are added to the running muennet. If none
runs, load starts one in the background. It logs to the system log (/dev/log), or
to muennet.log next to the control socket if there is none, ignores SIGHUP, keeps
no file of its starter open, and ends with its last interface. In a service of
systemd, use "muennet run": what load starts ends with the service.

All or nothing: if one interface cannot be created, none is, and the error says
which one and why. An interface that is already loaded with the same parameters
stays as it is; if its parameters differ, the error says in what. create=1M
creates the files of missing channels, so that the same load works again, after a
restart of a service or of the machine. "muennet modinfo" lists the parameters.

` + autoHelp + `

"modprobe muennet PARAM=VALUE ..." does the same if the modprobe.d file of muennet
is installed. As for a module, it succeeds without interfaces, and if an interface
is loaded with other parameters, which it leaves as it is with a warning.`,
		Example: `  muennet load name=net0 in=a out=b flags=net_hdr reader_protocol=12 writer_protocol=12
  muennet load name=net1,net2 in=c,e out=d,f flags=eth_dev,eth_dev reader_protocol=1,1 writer_protocol=1,1
  muennet load auto --dry-run
  muennet load auto name=lan,wan carrier=peer`,
		RunE: func(c *cobra.Command, args []string) error {
			words, err := splitOptions(options)
			if err != nil {
				return err
			}
			args, err = a.withSources(from, append(words, args...))
			if err != nil {
				return err
			}
			modprobe := c.Flags().Changed("options")
			r, err := a.request(args, auto)
			if modprobe && errors.Is(err, params.ErrNoName) {
				// Then the module is loaded without interfaces.
				if len(args) > 0 {
					a.warn(c, "nothing is loaded: %v", err)
				}
				return nil
			}
			if err != nil {
				return err
			}
			if poll := r.load.Poll; poll > config.LongPoll {
				a.warn(c, "poll=%d: packets may wait for %v in a channel without wake-ups: it counts milliseconds", poll.Milliseconds(), poll)
			}
			done, err := a.settle(r, auto, func(s pairing.Skipped) {
				fmt.Fprintf(c.ErrOrStderr(), "%s: skipped %s\n", c.Root().Name(), s)
			})
			if done || err != nil {
				return err
			}
			loaded, err := a.load(c, api.LoadRequest{Parameters: r.args, Channels: r.channels}, start)
			if modprobe {
				// modprobe succeeds with a module that is loaded, whatever its parameters.
				if errors.Is(err, api.ErrLoaded) {
					a.warn(c, "nothing is changed: %v", err)
					err = nil
				}
				return err
			}
			for _, name := range loaded.Already {
				fmt.Fprintf(a.stdout, "%s: already loaded\n", name)
			}
			return err
		},
	}
	from.flags(c)
	start.flags(c)
	auto.flags(c)
	c.Flags().StringVar(&options, "options", "", "parameters in one `text`, as modprobe gives them to a module")
	c.Flags().MarkHidden("options") // for the modprobe.d file
	return c
}

// load sends the request to the running muennet, or starts one. If other
// processes start or end one between two steps, it begins again.
func (a *app) load(cmd *cobra.Command, req api.LoadRequest, start startConfig) (done api.LoadResponse, err error) {
	ctx, c := cmd.Context(), a.client()
	for try := 1; ; try++ {
		done, err = c.LoadResponse(ctx, req)
		if unanswered(err) && try < startTries {
			if err := pause(ctx); err != nil {
				return done, err
			}
			continue
		}
		if !notRunning(err) {
			return done, err
		}
		var p process
		p, err = a.startDaemon(ctx, start)
		switch {
		case errors.Is(err, errBusy) && try < startTries:
			if err := pause(ctx); err != nil {
				return done, err
			}
			continue
		case err != nil:
			return done, err
		}
		done, err = c.LoadResponse(ctx, req)
		switch {
		case (notRunning(err) || unanswered(err)) && try < startTries: // it ended with the last interface of another client
			continue
		case err != nil:
			return done, errors.Join(err, undo(c, p))
		}
		a.warnInService(cmd)
		return done, nil
	}
}

// unanswered reports whether muennet closed the connection instead of
// answering: it ended, or has too many connections. A load may be sent again,
// because loading what is loaded changes nothing.
func unanswered(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// pause waits between two tries.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(startPause):
		return nil
	}
}

// undo ends the daemon that we started, unless others use it now.
func undo(c *client.Client, p process) error {
	// The context of the command may be done.
	ctx, cancel := context.WithTimeout(context.Background(), undoTime)
	defer cancel()
	err := c.Shutdown(ctx, api.ShutdownRequest{Idle: true})
	if errors.Is(err, api.ErrInUse) {
		return nil
	}
	if err == nil || notRunning(err) {
		p.await()
		return nil
	}
	return err
}

// notRunning reports whether err means that no muennet runs, or only one that
// is ending.
func notRunning(err error) bool {
	return errors.Is(err, client.ErrNotRunning) || errors.Is(err, api.ErrClosed)
}
