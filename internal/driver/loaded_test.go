package driver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muennet/muennet/internal/config"
	"github.com/muennet/muennet/internal/region"
	"github.com/muennet/muennet/internal/testnet"
)

// loadAll is load with all fields of a load.
func (l *lab) loadAll(d *Driver, cfg Config) (names []string, err error) {
	l.t.Helper()
	l.ns.Do(func() { names, err = d.Load(cfg) })
	return names, err
}

// TestLoadOfWhatIsLoaded: the same load again changes nothing, by any of the
// interface's names, and makes what is missing.
func TestLoadOfWhatIsLoaded(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	index := l.ns.State("net0").Index
	want := func(want []string, names []string, err error) {
		t.Helper()
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("names %v, %v, want %v", names, err, want)
		}
		if now := status(t, d); now.Index != index {
			t.Errorf("interface %d was %d", now.Index, index)
		}
	}
	again := func(i Interface) ([]string, error) { return l.load(d, i) }
	names, err := again(netHdr("net0"))
	want([]string{"net0"}, names, err)
	stated := netHdr("net0")
	stated.MTU, stated.In = 1500, filepath.Join(l.dir, "a")
	names, err = again(stated)
	want([]string{"net0"}, names, err)
	must(t, l.ns.Link().SetMTU(index, 1400)) // the administrator's
	must(t, l.ns.Link().SetName(index, "wan"))
	testnet.Eventually(t, "name", func() bool { return status(t, d).Name == "wan" })
	for _, name := range []string{"net0", "wan"} {
		names, err = again(netHdr(name))
		want([]string{"wan"}, names, err)
	}

	next := netHdr("net0") // the name is free
	next.In, next.Out = "", "c"
	names, err = l.load(d, netHdr("wan"), next)
	if err != nil || !slices.Equal(names, []string{"wan", "net0"}) || len(d.Status()) != 2 {
		t.Errorf("names %v, %v; %d interfaces", names, err, len(d.Status()))
	}
}

// TestNumberedAgain: a name with %d means what it made, as long as the channels
// are the same.
func TestNumberedAgain(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	reader := func(channel string) Interface {
		i := netHdr("n%d")
		i.In, i.Out = channel, ""
		return i
	}
	for _, want := range [][]string{{"n0", "n1"}, {"n0", "n1"}} {
		if names, err := l.load(d, reader("a"), reader("a")); err != nil || !slices.Equal(names, want) {
			t.Errorf("names %v, %v, want %v", names, err, want)
		}
	}
	if names, err := l.load(d, reader("b")); err != nil || !slices.Equal(names, []string{"n2"}) {
		t.Errorf("names %v, %v", names, err)
	}
}

// TestLoadOfSomethingElse: what differs from what is loaded is told, and
// nothing is made.
func TestLoadOfSomethingElse(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	other := func(change func(*Config)) Config {
		cfg := Config{Interfaces: []Interface{netHdr("net0")}}
		change(&cfg)
		return cfg
	}
	for want, cfg := range map[string]Config{
		"MTU 1500, not 1400":             other(func(c *Config) { c.Interfaces[0].MTU = 1400 }),
		"In a, not c":                    other(func(c *Config) { c.Interfaces[0].In = "c" }),
		"Poll 1ms, not 2ms":              other(func(c *Config) { c.Poll = 2 * time.Millisecond }),
		"Poll 1ms, not 50µs":             other(func(c *Config) { c.Poll = config.PollFastest }),
		"Name net0, not net1":            other(func(c *Config) { c.Interfaces[0].Name = "net1" }), // by its out-channel
		"Out b, not c, Force false, not": other(func(c *Config) { c.Interfaces[0].Out, c.Interfaces[0].Force = "c", true }),
		fmt.Sprintf("In %s/a, not %s/x/a", l.dir, l.dir): other(func(c *Config) {
			c.Channels, c.Interfaces[0].Out = l.dir+"/x", l.dir+"/b"
		}),
	} {
		i := netHdr("net9")
		i.In, i.Out = "", "c"
		cfg.Interfaces = append([]Interface{i}, cfg.Interfaces...)
		if cfg.Interfaces[1].Out == "c" {
			cfg.Interfaces = cfg.Interfaces[1:]
		}
		_, err := l.loadAll(d, cfg)
		var differs *config.LoadedError
		if !errors.As(err, &differs) || !strings.Contains(err.Error(), "net0 is loaded already with ") || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		status(t, d) // of the only interface
	}
}

// TestCreate: a load makes the channels that are missing, and leaves others as
// they are.
func TestCreate(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	dir := filepath.Join(t.TempDir(), "new")
	i := netHdr("net0")
	i.In, i.Out = "in", "out"
	cfg := Config{Interfaces: []Interface{i}, Channels: dir, Create: 128 << 10}
	for range 2 {
		if _, err := l.loadAll(d, cfg); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"in", "out"} {
			must(t, region.CheckFile(dir, name, cfg.Create, region.DefaultMode))
		}
	}
	must(t, d.UnloadAll())
	must(t, os.Remove(filepath.Join(dir, "in")))
	cfg.Create = 64 << 10
	if _, err := l.loadAll(d, cfg); err != nil {
		t.Fatal(err)
	}
	must(t, region.CheckFile(dir, "in", 64<<10, region.DefaultMode))
	must(t, region.CheckFile(dir, "out", 128<<10, region.DefaultMode))

	for _, change := range []func(*Interface){
		func(i *Interface) { i.In = filepath.Join(dir, "path") },
		func(i *Interface) { i.In = "window@0+4K" },
		func(i *Interface) { i.PMTU = "mtus" },
	} {
		must(t, d.UnloadAll())
		cfg.Interfaces = []Interface{i}
		change(&cfg.Interfaces[0])
		if _, err := l.loadAll(d, cfg); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%+v: error %v", cfg.Interfaces[0], err)
		}
	}
}
