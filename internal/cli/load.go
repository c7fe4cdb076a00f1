package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/client"
	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/pairing"
)

// startTries is how often load tries to start a daemon while other processes
// start and end around it; a variable for tests.
var startTries = 100

const (
	// startPause is the pause between two of these tries.
	startPause = 50 * time.Millisecond
	// undoTime bounds how long a daemon started in vain may take to end.
	undoTime = 30 * time.Second
)

func (a *app) loadCommand() *cobra.Command {
	var options string
	var from sources
	var start startConfig
	var auto autoConfig
	c := &cobra.Command{
		Use:   "load [--config FILE] [--cmdline] [auto [--strict] [--dry-run]] [PARAM=VALUE ...]",
		Short: "Create interfaces, as modprobe does",
		Long: `Returns when the interfaces exist. They are added to the running muennet; when
none runs, one is started in the background, which logs to the system log
(/dev/log), or to muennet.log next to the control socket where there is none. It
ignores SIGHUP, and keeps no file open that its starter had.

All or nothing: when one interface cannot be made, none is, and the error says
which one and why. "muennet modinfo" lists the parameters.

` + autoHelp + `

"modprobe muennet PARAM=VALUE ..." does the same where the modprobe.d file of
muennet is installed.`,
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
			r, err := a.request(args, auto)
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
			return a.load(c.Context(), api.LoadRequest{Parameters: r.args, Channels: r.channels}, start)
		},
	}
	from.flags(c)
	start.flags(c)
	auto.flags(c)
	c.Flags().StringVar(&options, "options", "", "parameters in one `text`, as modprobe gives them to a module")
	c.Flags().MarkHidden("options") // for the modprobe.d file
	return c
}

// load sends the request to the running muennet or starts one. Between any
// two steps another process may start or end one; then it begins again.
func (a *app) load(ctx context.Context, req api.LoadRequest, start startConfig) error {
	c := a.client()
	for try := 1; ; try++ {
		_, err := c.Load(ctx, req)
		if !notRunning(err) {
			return err
		}
		var p child
		p, err = a.startDaemon(ctx, start)
		switch {
		case errors.Is(err, errBusy) && try < startTries:
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(startPause):
			}
			continue
		case err != nil:
			return err
		}
		if _, err = c.Load(ctx, req); err != nil {
			err = errors.Join(err, undo(c, p))
		}
		return err
	}
}

// undo ends the daemon we have started, unless others use it by now.
func undo(c *client.Client, p child) error {
	// The user's interruption may be why we are here.
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

// notRunning tells whether err means that there is no muennet, or only one
// that is ending.
func notRunning(err error) bool {
	return errors.Is(err, client.ErrNotRunning) || errors.Is(err, api.ErrClosed)
}
