package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/muennet/muennet"
	"github.com/muennet/muennet/internal/params"
)

// sources are the sources of parameters besides the arguments.
type sources struct {
	config  string // modprobe.d file; "": none
	cmdline bool   // the kernel command line
}

func (s *sources) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.config, "config", "", "modprobe.d `file` whose \"options muennet\" lines come before the arguments")
	c.Flags().BoolVar(&s.cmdline, "cmdline", false, "take the words muennet.PARAM=VALUE of the kernel command line, and muennet.auto and muennet.channels=DIRECTORY, as modprobe would: of a parameter given twice the last one counts, in the order of file, command line, arguments")
}

// withSources puts the parameters of the sources before those of the arguments.
func (a *app) withSources(s sources, args []string) ([]string, error) {
	var c muennet.CommandLine
	var err error
	if s.cmdline {
		if c, err = muennet.ReadCommandLine(); err != nil {
			return nil, err
		}
		args = a.withCommandLine(c, args)
	}
	if s.config != "" {
		lines, err := params.ReadFile(s.config)
		if err != nil {
			return nil, usageError{err}
		}
		args = append(lines, args...)
	}
	if s.cmdline {
		args = params.LastOfEach(args)
	}
	return args, nil
}

// withCommandLine puts the words of the kernel command line before the
// arguments. A directory given to the command itself takes precedence.
func (a *app) withCommandLine(c muennet.CommandLine, args []string) []string {
	words := c.Parameters
	if c.Auto {
		words = append(words, autoWord)
	}
	if a.channels == "" && c.Channels != "" {
		a.channels = filepath.Join("/", c.Channels)
	}
	return append(words, args...)
}
