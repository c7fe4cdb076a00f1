package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table writes the medians, then the spreads and ratios of the main metrics,
// for a terminal. The Run must be condensed.
func (r *Run) Table(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d processors, Linux %s, muennet %s, %s\n", r.Machine.CPU, r.Machine.CPUs,
		r.Machine.Kernel, r.Machine.Version, r.Machine.Time.Format("2006-01-02 15:04"))
	fmt.Fprintf(w, "medians of %d rounds, %g s per measurement; > is a to b, < is b to a\n", r.rounds(), r.Seconds)
	if r.Machine.Background > 0.1 {
		fmt.Fprintf(w, "other load on the machine before the run: %.1f processors\n", r.Machine.Background)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	// tabwriter aligns all columns alike, so names are padded to the left.
	width := 0
	for _, s := range r.Systems {
		width = max(width, len(s.Name))
	}
	columns := []string{pad("", width)}
	units := []string{pad("", width)}
	for _, m := range Metrics {
		if m.ID != TCP1 { // the mean of two columns
			columns, units = append(columns, m.Short), append(units, m.Unit)
		}
	}
	row(t, columns)
	row(t, units)
	for _, s := range r.Systems {
		cells := []string{pad(s.Name, width)}
		for _, m := range Metrics {
			if m.ID != TCP1 {
				cells = append(cells, s.cell(m, func(st Stats) float64 { return st.Median }))
			}
		}
		row(t, cells)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, m := range Metrics {
		if m.Main {
			if err := r.mainTable(w, m, width); err != nil {
				return err
			}
		}
	}
	for _, line := range slices.Concat(r.Skipped, r.Failures) {
		fmt.Fprintf(w, "\n%s", line)
	}
	_, err := fmt.Fprintln(w)
	return err
}

// mainTable writes the spread and the ratios of one metric.
func (r *Run) mainTable(w io.Writer, m Metric, width int) error {
	better := "more is better"
	if m.Lower {
		better = "less is better"
	}
	fmt.Fprintf(w, "\n%s, %s (%s)\n", m.Title, m.Unit, better)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	peer := r.BestPeer[m.ID]
	if peer == "" {
		peer = "best peer"
	}
	row(t, []string{pad("", width), "median", "least", "most", "x " + Reference, "x " + peer})
	for _, s := range r.Systems {
		row(t, []string{pad(s.Name, width),
			s.cell(m, func(st Stats) float64 { return st.Median }),
			s.cell(m, func(st Stats) float64 { return st.Min }),
			s.cell(m, func(st Stats) float64 { return st.Max }),
			ratioCell(s.Stats[m.ID].OfReference), ratioCell(s.Stats[m.ID].OfBestPeer)})
	}
	return t.Flush()
}

// ScaleTable writes the costs of many interfaces.
func (r *Run) ScaleTable(w io.Writer) error {
	fmt.Fprintln(w, "interfaces in one process, idle")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row(t, []string{"interfaces", "peers", "ready s", "VmRSS MiB", "without channels", "wake-ups/s", "cpu %", "threads", "ringing %", "watched s"})
	for _, s := range r.Scale {
		row(t, []string{fmt.Sprint(s.Interfaces), s.Peers, fmt.Sprintf("%.2f", s.Ready), fmt.Sprintf("%.1f", s.Memory), fmt.Sprintf("%.1f", s.Own),
			fmt.Sprintf("%.1f", s.Wakeups), fmt.Sprintf("%.3f", s.CPU), fmt.Sprint(s.Threads),
			fmt.Sprintf("%.0f", 100*s.Ringing), fmt.Sprintf("%.1f", s.Window)})
	}
	return t.Flush()
}

func (r *Run) rounds() (n int) {
	for _, s := range r.Systems {
		n = max(n, len(s.Samples))
	}
	return n
}

func (s *System) cell(m Metric, of func(Stats) float64) string {
	st, ok := s.Stats[m.ID]
	if !ok {
		return "-"
	}
	return fmt.Sprintf(m.format, of(st))
}

func ratioCell(ratio float64) string {
	if ratio == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", ratio)
}

func row(w io.Writer, cells []string) { fmt.Fprintln(w, strings.Join(cells, "\t")+"\t") }

func pad(s string, width int) string { return fmt.Sprintf("%-*s", width, s) }
