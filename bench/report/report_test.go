package report_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muennet/muennet/bench/report"
)

func example() *report.Run {
	samples := func(values ...float64) (s []report.Sample) {
		for _, v := range values {
			s = append(s, report.Sample{report.TCP1: v, report.RestP50: 100 / v})
		}
		return s
	}
	r := &report.Run{Systems: []*report.System{
		{Name: "veth", Kind: "kernel", Samples: samples(10, 8, 12)},
		{Name: "ours", Kind: "muennet", Samples: samples(20, 16)},
		{Name: "slow", Kind: report.KindPeer, Samples: samples(1)},
		{Name: "fast", Kind: report.KindPeer, Samples: samples(2)},
		{Name: "none", Kind: report.KindPeer},
	}}
	r.Condense()
	return r
}

func TestCondense(t *testing.T) {
	r := example()
	for _, c := range []struct {
		system int
		metric string
		want   report.Stats
	}{
		{0, report.TCP1, report.Stats{Median: 10, Min: 8, Max: 12, OfReference: 1, OfBestPeer: 5}},
		{1, report.TCP1, report.Stats{Median: 18, Min: 16, Max: 20, OfReference: 1.8, OfBestPeer: 9}},
		{2, report.RestP50, report.Stats{Median: 100, Min: 100, Max: 100, OfReference: 10, OfBestPeer: 2}},
	} {
		if got := r.Systems[c.system].Stats[c.metric]; got != c.want {
			t.Errorf("%s, %s: %+v, want %+v", r.Systems[c.system].Name, c.metric, got, c.want)
		}
	}
	if len(r.Systems[4].Stats) != 0 {
		t.Errorf("a system without samples has %v", r.Systems[4].Stats)
	}
	// More is better in the one, less in the other.
	if r.BestPeer[report.TCP1] != "fast" || r.BestPeer[report.RestP50] != "fast" {
		t.Errorf("best peers %v, want fast", r.BestPeer)
	}
}

func TestTableShowsWhatIsMissing(t *testing.T) {
	r := example()
	r.Skipped = []string{"x is skipped"}
	r.Failures = []string{"y has failed"}
	var out bytes.Buffer
	if err := r.Table(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"18.00", "x fast", "9.00", "x is skipped", "y has failed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, &out)
		}
	}
	for line := range strings.Lines(out.String()) {
		if cells, ok := strings.CutPrefix(line, "none "); ok && strings.Trim(cells, " -\n") != "" {
			t.Errorf("figures of what was not measured: %s", line)
		}
	}
}

func TestChartsOfWhatWasMeasured(t *testing.T) {
	dir := t.TempDir()
	if err := example().Charts(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, report.TCP1+".svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "ours  18.00", "slow  1.00"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the chart has no %q", want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, report.UDPRate+".svg")); err == nil {
		t.Error("a chart of a metric without results")
	}
}
