package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/muennet/muennet"
)

// parse reads a whole command line.
func parse(line string) (settings, error) { return parseWords(muennet.ParseCommandLine(line)) }

func TestWordsOfOthersAreLeftAlone(t *testing.T) {
	s, err := parse("BOOT_IMAGE=/vmlinuz console=ttyS0 quiet muen.x=1 muennet address.x=1 rdinit=/init")
	if err != nil || s.Auto || len(s.Parameters)+len(s.addresses)+len(s.run) > 0 || s.Channels != "" {
		t.Errorf("read as %+v, %v", s, err)
	}
}

func TestWords(t *testing.T) {
	s, err := parse(`muennet.name=net0,net1 muennet.in=a|out,b|out muennet.channels=/channels address=net0=10.0.0.1/24,net1=fd00::1/64 ` +
		`muennet.channels=/other muennet.channels=/channels -- address=net0=10.0.1.1/24 run="/bin/program a  b"`)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"name=net0,net1", "in=a|out,b|out"}; !slices.Equal(s.Parameters, want) {
		t.Errorf("parameters %q, want %q", s.Parameters, want)
	}
	want := []address{
		{"net0", netip.MustParsePrefix("10.0.0.1/24")},
		{"net1", netip.MustParsePrefix("fd00::1/64")},
		{"net0", netip.MustParsePrefix("10.0.1.1/24")},
	}
	if !slices.Equal(s.addresses, want) {
		t.Errorf("addresses %v, want %v", s.addresses, want)
	}
	if s.Channels != "/channels" || !slices.Equal(s.run, []string{"/bin/program", "a", "b"}) {
		t.Errorf("channels %q, run %q", s.Channels, s.run)
	}
}

func TestAutoWord(t *testing.T) {
	s, err := parse("muennet.auto muennet.mtu=1500,1400")
	if err != nil || !s.Auto || !slices.Equal(s.Parameters, []string{"mtu=1500,1400"}) {
		t.Errorf("read as %+v, %v", s, err)
	}
}

func TestAWrongAddressDoesNotSpoilTheOthers(t *testing.T) {
	for _, bad := range []string{"net0", "net0=", "=10.0.0.1/24", "net0=10.0.0.1", "net0=10.0.0.1/33", "net0=localhost/8", ""} {
		s, err := parse("address=" + bad + ",net1=10.0.1.1/24 run=/bin/program")
		if err == nil || !strings.Contains(err.Error(), "NAME=ADDRESS/BITS") {
			t.Errorf("address %q: error %v", bad, err)
		}
		if len(s.addresses) != 1 || s.addresses[0].name != "net1" || len(s.run) != 1 {
			t.Errorf("address %q: the rest is read as %+v", bad, s)
		}
	}
}
