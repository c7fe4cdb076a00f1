package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muennet/muennet/bench/report"
	"github.com/muennet/muennet/bench/scale"
	"github.com/muennet/muennet/bench/testbed"
	"github.com/muennet/muennet/bench/traffic"
)

// options are the command line.
type options struct {
	rounds  int
	seconds float64
	only    string
	quick   bool
	scale   bool
	list    bool
	out     string
	muennet string
}

func main() {
	traffic.Child()
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "how often every system is measured")
	flag.Float64Var(&o.seconds, "seconds", 2, "length of one measurement")
	flag.StringVar(&o.only, "only", "*", "systems to measure, separated by commas, with wildcards: veth*,net_hdr-1500")
	flag.BoolVar(&o.quick, "quick", false, "one round of 0.5 s, the main systems only")
	flag.BoolVar(&o.scale, "scale", false, "measure 1, 32 and 256 interfaces in one process instead")
	flag.BoolVar(&o.list, "list", false, "list the systems")
	flag.StringVar(&o.out, "out", "", "directory for results.json and charts; none are written without")
	flag.StringVar(&o.muennet, "muennet", "bin/muennet", "the program to measure")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "bench: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := enclosed(o); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, progress, out io.Writer) (err error) {
	if o.list {
		for _, s := range testbed.Systems() {
			fmt.Fprintf(out, "%-24s %s\n", s.Name, s.Note)
		}
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("needs root: makes network namespaces and devices")
	}
	if o.quick {
		o.rounds, o.seconds = 1, 0.5
		if o.only == "*" {
			o.only = "veth,net_hdr-1500,eth_dev-1500,vde,socat,wireguard-go,slirp4netns,pasta"
		}
	}
	if o.rounds < 1 || o.seconds <= 0 {
		return errors.New("rounds and seconds must be above 0")
	}
	if o.muennet, err = filepath.Abs(o.muennet); err != nil {
		return err
	}
	if _, err := os.Stat(o.muennet); err != nil {
		return fmt.Errorf("find muennet: %w", err)
	}
	if o.out != "" {
		if err := os.MkdirAll(o.out, 0o755); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("/dev/shm", "muennet-bench-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// No results are kept of a run that was interrupted, but of one with failures.
	result := &report.Run{Seconds: o.seconds}
	if result.Machine, err = machine(o.muennet); err != nil {
		return err
	}
	if o.scale {
		return measureScale(ctx, o, dir, result, progress, out)
	}
	return compare(ctx, o, dir, result, progress, out)
}

func compare(ctx context.Context, o options, dir string, result *report.Run, progress, out io.Writer) error {
	systems, err := choose(o.only)
	if err != nil {
		return err
	}
	c := &comparison{
		cfg:      testbed.Config{Muennet: o.muennet, Dir: dir},
		rounds:   o.rounds,
		seconds:  time.Duration(o.seconds * float64(time.Second)),
		progress: progress,
		result:   result,
	}
	if err := c.run(ctx, systems); err != nil {
		return err
	}
	result.Condense()
	fmt.Fprintln(out)
	if err := result.Table(out); err != nil {
		return err
	}
	if o.out != "" {
		if err := write(filepath.Join(o.out, "results.json"), result); err != nil {
			return err
		}
		if err := result.Charts(o.out); err != nil {
			return err
		}
	}
	if len(result.Failures) > 0 {
		return fmt.Errorf("%d measurements failed", len(result.Failures))
	}
	return nil
}

// crowdPeers are the kinds of peers that scale is measured with.
var crowdPeers = []scale.Peers{scale.Futex, scale.Polled}

func measureScale(ctx context.Context, o options, dir string, result *report.Run, progress, out io.Writer) error {
	o.seconds = max(o.seconds, 5) // rare wake-ups are to be seen
	for _, peers := range crowdPeers {
		for _, n := range []int{1, 32, 256} {
			fmt.Fprintf(progress, "%d interfaces, %s peers ... ", n, peers)
			s, err := crowd(ctx, o, dir, n, peers)
			if err != nil {
				fmt.Fprintln(progress)
				return fmt.Errorf("%d interfaces, %s peers: %w", n, peers, err)
			}
			fmt.Fprintln(progress, "done")
			result.Scale = append(result.Scale, s)
		}
	}
	fmt.Fprintln(out)
	if err := result.ScaleTable(out); err != nil {
		return err
	}
	if o.out == "" {
		return nil
	}
	return write(filepath.Join(o.out, "scale.json"), result)
}

// crowd measures n interfaces in one process.
func crowd(ctx context.Context, o options, dir string, n int, peers scale.Peers) (report.Scale, error) {
	window := time.Duration(o.seconds * float64(time.Second))
	return scale.Measure(ctx, scale.Config{Muennet: o.muennet, Dir: dir, Window: window}, n, peers)
}

// choose finds the systems that a list of patterns means.
func choose(only string) (chosen []testbed.System, err error) {
	all := testbed.Systems()
	keep := make([]bool, len(all))
	for pattern := range strings.SplitSeq(only, ",") {
		found := false
		for i, s := range all {
			match, err := path.Match(pattern, s.Name)
			if err != nil {
				return nil, fmt.Errorf("-only %s: %w", pattern, err)
			}
			keep[i] = keep[i] || match
			found = found || match
		}
		if !found {
			return nil, fmt.Errorf("-only %s: no such system; -list shows all", pattern)
		}
	}
	for i, s := range all {
		if keep[i] {
			chosen = append(chosen, s)
		}
	}
	return slices.Clip(chosen), nil
}

func write(path string, r *report.Run) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(r.JSON(f), f.Close())
}

// untilInterrupted is a context that ends when the user or a script says so.
func untilInterrupted() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
}
