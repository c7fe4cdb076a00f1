package cli

import (
	"slices"
	"testing"

	"github.com/muennet/muennet"
)

// TestChannelsOfTheKernelCommandLine: a directory given to the command itself
// counts more.
func TestChannelsOfTheKernelCommandLine(t *testing.T) {
	for _, c := range []struct{ flag, word, want string }{
		{"", "", ""},
		{"", "/muenfs", "/muenfs"},
		{"", "muenfs", "/muenfs"}, // of the first process's directory
		{"/a", "/muenfs", "/a"},
	} {
		a := &app{channels: c.flag}
		args := a.withCommandLine(muennet.CommandLine{Auto: true, Channels: c.word, Parameters: []string{"mtu=1500"}}, []string{"poll=1"})
		if a.channels != c.want || !slices.Equal(args, []string{"mtu=1500", autoWord, "poll=1"}) {
			t.Errorf("%+v: channels %q, arguments %q", c, a.channels, args)
		}
	}
}
