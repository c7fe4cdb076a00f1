package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/client"
	"github.com/muennet/muennet/internal/region"
	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// Main is the program: it takes the arguments, beginning with the name of the
// program, and returns the exit code.
func Main(args []string) int {
	return Run(stopOnSignal(stopPatience), args, os.Stdout, os.Stderr)
}

// Run runs one command and returns the exit code. args begins with the name of
// the program: called as muennet_cfg it is the command cfg, otherwise muennet.
// The command ends early, and cleanly, when ctx is done.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{stdout: stdout}
	root := a.program(args)
	if len(args) > 0 {
		args = args[1:]
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	a.report(stderr, fmt.Sprintf("%s: %s\n", root.Name(), oneLine(err)))
	var usage usageError
	if !a.started || errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// usageError marks an error as wrong usage.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// oneLine returns the text of err in one line, whatever it wraps.
func oneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(lines, "; ")
}

// app is one call of the program: the global flags and the output.
type app struct {
	control, channels   string
	logFormat, logLevel string
	stdout              io.Writer
	// started is set once there is a command with valid flags and arguments:
	// earlier errors are wrong usage.
	started bool
	// serves is set by run, which must end even if nothing reads its output.
	serves bool
}

// report prints the reason of a failure. It waits for a reader of w, except in
// run.
func (a *app) report(w io.Writer, reason string) {
	printed := make(chan struct{})
	go func() {
		io.WriteString(w, reason)
		close(printed)
	}()
	var late <-chan time.Time
	if a.serves {
		late = time.After(flushTime)
	}
	select {
	case <-printed:
	case <-late:
	}
}

// warn prints a warning, as report prints a failure.
func (a *app) warn(c *cobra.Command, format string, args ...any) {
	a.report(c.ErrOrStderr(), fmt.Sprintf("%s: warning: %s\n", c.Root().Name(), fmt.Sprintf(format, args...)))
}

// program returns the command for the name of the program.
func (a *app) program(args []string) *cobra.Command {
	if len(args) > 0 && filepath.Base(args[0]) == CfgName {
		return a.asProgram(a.cfgCommand(CfgName))
	}
	return a.root()
}

func (a *app) root() *cobra.Command {
	root := a.asProgram(&cobra.Command{
		Use:   "muennet",
		Short: "Network interfaces over shared-memory channels",
		Long: `muennet gives Linux ordinary network interfaces whose packets travel through
one-way channels in shared memory (SHMStream version 2).

Exit codes: 0 done, 1 failed, 2 wrong usage.`,
		Example: `  muennet channel create a && muennet channel create b
  muennet load name=net0 in=a out=b flags=net_hdr reader_protocol=12 writer_protocol=12
  ip link set net0 up
  muennet show net0
  muennet unload`,
		Args: cobra.ArbitraryArgs, // needCommand refuses them
		RunE: needCommand,
	})
	root.AddCommand(a.runCommand(), a.loadCommand(), a.unloadCommand(), a.showCommand(), a.cfgCommand("muennet "+cfgWord),
		a.channelCommand(), a.demoCommand(), a.modinfoCommand(), a.versionCommand())
	for _, c := range root.Commands() {
		c.DisableFlagsInUseLine = true // their Use lines have the flags
	}
	return root
}

// asProgram adds what the outermost command needs.
func (a *app) asProgram(c *cobra.Command) *cobra.Command {
	c.SilenceErrors, c.SilenceUsage = true, true
	c.DisableSuggestions = true // they take several lines
	c.CompletionOptions = cobra.CompletionOptions{HiddenDefaultCmd: true}
	c.PersistentPreRunE = func(*cobra.Command, []string) error {
		if err := a.resolve(); err != nil {
			return err
		}
		a.started = true
		return nil
	}
	f := c.PersistentFlags()
	f.StringVar(&a.control, "control", env("MUENNET_CONTROL", api.DefaultControl), "`path` of the control socket (MUENNET_CONTROL)")
	f.StringVar(&a.channels, "channels", env("MUENNET_CHANNELS", ""), "`directory` of the channels (MUENNET_CHANNELS; default "+region.DefaultDir()+")")
	f.StringVar(&a.logFormat, "log-format", "text", "`format` of the log: text or json")
	f.StringVar(&a.logLevel, "log-level", "info", "least `level` that is logged: debug, info, warn or error")
	return c
}

// resolve checks the global flags and makes their paths absolute, because the
// daemon has another working directory.
func (a *app) resolve() error {
	if _, err := logLevel(a.logLevel); err != nil {
		return err
	}
	if err := checkFormat(a.logFormat); err != nil {
		return err
	}
	if a.control == "" {
		return errors.New("--control: the path is empty")
	}
	var err error
	if a.control, err = filepath.Abs(a.control); err != nil {
		return err
	}
	if a.channels != "" {
		a.channels, err = filepath.Abs(a.channels)
	}
	return err
}

// directory returns the directory of channels given by name.
func (a *app) directory() string {
	if a.channels != "" {
		return a.channels
	}
	return region.DefaultDir()
}

func (a *app) client() *client.Client { return client.New(a.control) }

// needCommand runs a command that only has subcommands: it is an error.
func needCommand(c *cobra.Command, args []string) error {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			names = append(names, sub.Name())
		}
	}
	list := strings.Join(names, ", ")
	if len(args) > 0 {
		return usagef("unknown command %q: %s has %s", args[0], c.CommandPath(), list)
	}
	return usagef("no command given: %s has %s", c.CommandPath(), list)
}

// env returns the value of an environment variable, or fallback if it is unset
// or empty.
func env(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}
