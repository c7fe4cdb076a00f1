package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/muennet/muennet/bench/report"
	"github.com/muennet/muennet/bench/testbed"
)

// comparison is a run of rounds over systems.
type comparison struct {
	cfg      testbed.Config
	rounds   int
	seconds  time.Duration // one measurement
	progress io.Writer
	result   *report.Run
}

// run measures all systems that are installed. It notes failures in the result
// and goes on.
func (c *comparison) run(ctx context.Context, systems []testbed.System) error {
	var installed []testbed.System
	results := make(map[string]*report.System)
	for _, s := range systems {
		if missing := s.Missing(); len(missing) > 0 {
			line := fmt.Sprintf("%s skipped: apt-get install %s", s.Name, strings.Join(missing, " "))
			fmt.Fprintln(c.progress, line)
			c.result.Skipped = append(c.result.Skipped, line)
			continue
		}
		results[s.Name] = &report.System{Name: s.Name, Kind: string(s.Kind), Note: s.Note}
		c.result.Systems = append(c.result.Systems, results[s.Name])
		installed = append(installed, s)
	}
	broken := make(map[string]bool)
	start, done := time.Now(), 0
	for round := range c.rounds {
		for _, i := range rand.Perm(len(installed)) {
			s := installed[i]
			if broken[s.Name] {
				done++
				continue
			}
			fmt.Fprintf(c.progress, "round %d of %d  %-24s", round+1, c.rounds, s.Name)
			sample, err := c.measure(ctx, s)
			if ctx.Err() != nil {
				fmt.Fprintln(c.progress)
				return fmt.Errorf("interrupted")
			}
			if err != nil {
				failure := fmt.Sprintf("round %d: %s: %v", round+1, s.Name, err)
				fmt.Fprintf(c.progress, "  failed: %v", err)
				if s.Kind == testbed.Peer {
					// Another program's problem: report it,
					// and do not wait for it again.
					c.result.Skipped = append(c.result.Skipped, failure)
					broken[s.Name] = true
				} else {
					c.result.Failures = append(c.result.Failures, failure)
				}
			}
			if len(sample) > 0 {
				results[s.Name].Samples = append(results[s.Name].Samples, sample)
			}
			done++
			left := time.Since(start) / time.Duration(done) * time.Duration(c.rounds*len(installed)-done)
			fmt.Fprintf(c.progress, "  %v to go\n", left.Round(time.Second))
		}
	}
	return nil
}

// measure builds a system and measures everything once. On an error the sample
// has what was measured until then.
func (c *comparison) measure(ctx context.Context, s testbed.System) (report.Sample, error) {
	bed, err := s.Open(ctx, c.cfg)
	if err != nil {
		return nil, err
	}
	defer bed.Close()
	m := &measurement{bed: bed, seconds: c.seconds, sample: make(report.Sample)}
	for _, step := range []struct {
		do   func() error
		tell func() string
	}{
		{m.warmUp, func() string { return "" }},
		{m.streams, func() string {
			return fmt.Sprintf("tcp %5.2f %5.2f %5.2f %5.2f Gb/s, %.2f s/GB", m.sample[report.TCP1AB], m.sample[report.TCP1BA],
				m.sample[report.TCP4AB], m.sample[report.TCP4BA], m.sample[report.CPU])
		}},
		{m.flood, func() string { return fmt.Sprintf("udp %3.0f k/s", m.sample[report.UDPRate]) }},
		{m.pings, func() string {
			return fmt.Sprintf("rtt %3.0f, loaded %4.0f us", m.sample[report.RestP50], m.sample[report.LoadedP50])
		}},
		{m.memory, func() string { return "" }},
	} {
		if err := step.do(); err != nil {
			return m.sample, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if told := step.tell(); told != "" {
			fmt.Fprintf(c.progress, "  %s", told)
		}
	}
	return m.sample, nil
}
