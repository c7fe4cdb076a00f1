package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muennet/muennet/bench/report"
	"github.com/muennet/muennet/bench/traffic"
	"github.com/muennet/muennet/internal/testnet"
)

func TestMain(m *testing.M) {
	traffic.Child()
	os.Exit(m.Run())
}

// built is the path of the program, built from this tree.
func built(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "muennet")
	if out, err := exec.Command("go", "-C", "..", "build", "-buildvcs=false", "-o", path, "./cmd/muennet").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

func TestCompare(t *testing.T) {
	testnet.Privileged(t)
	o := options{rounds: 2, seconds: 0.2, only: "veth,net_hdr-1500", out: t.TempDir(), muennet: built(t)}
	testnet.CheckLeaks(t)
	var progress, out bytes.Buffer
	if err := run(context.Background(), o, &progress, &out); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	text, err := os.ReadFile(filepath.Join(o.out, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r report.Run
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Systems) != 2 || len(r.Failures) > 0 || len(r.Skipped) > 0 {
		t.Fatalf("%d systems, failures %q, skipped %q; want 2 and none", len(r.Systems), r.Failures, r.Skipped)
	}
	for _, s := range r.Systems {
		if len(s.Samples) != 2 {
			t.Errorf("%s: %d samples, want 2", s.Name, len(s.Samples))
		}
		if !strings.Contains(out.String(), s.Name) {
			t.Errorf("the table has no %s:\n%s", s.Name, &out)
		}
		for _, m := range report.Metrics {
			st, ok := s.Stats[m.ID]
			// The kernel's own needs no process, and may lose nothing.
			mayBeZero := m.ID == report.UDPLoss || m.ID == report.Memory && s.Kind == "kernel"
			if !ok || st.Median < 0 || st.Median == 0 && !mayBeZero {
				t.Errorf("%s: %s is %v, measured %v; want more than 0", s.Name, m.ID, st.Median, ok)
			}
			if st.Min > st.Median || st.Median > st.Max {
				t.Errorf("%s: %s: least %v, median %v, most %v", s.Name, m.ID, st.Min, st.Median, st.Max)
			}
		}
		if st := s.Stats[report.RestP99]; st.Median < s.Stats[report.RestP50].Median {
			t.Errorf("%s: p99 %v is below p50 %v", s.Name, st.Median, s.Stats[report.RestP50].Median)
		}
	}
	charts, err := filepath.Glob(filepath.Join(o.out, "*.svg"))
	if err != nil || len(charts) != 4 {
		t.Errorf("charts %q, error %v; want 4", charts, err)
	}
}

func TestScaleOfOne(t *testing.T) {
	testnet.Privileged(t)
	// Channels are told from other memory by their being shared.
	dir, err := os.MkdirTemp("/dev/shm", "muennet-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	o := options{rounds: 1, seconds: 0.1, muennet: built(t)}
	testnet.CheckLeaks(t)
	for _, peers := range crowdPeers {
		s, err := crowd(context.Background(), o, dir, 2, peers)
		if err != nil {
			t.Fatal(err)
		}
		if s.Interfaces != 2 || s.Ready <= 0 || s.Memory <= s.Own || s.Own <= 0 || s.CPU < 0 || s.Threads < 2 {
			t.Errorf("%s: %+v has a figure that cannot be", peers, s)
		}
		if want := map[bool]float64{true: 1, false: 0}[peers == "futex"]; s.Ringing != want {
			t.Errorf("%s: %v of the peers are taken to ring, want %v", peers, s.Ringing, want)
		}
	}
}

func TestChooseRefusesWhatIsNot(t *testing.T) {
	for _, only := range []string{"vet", "veth,", "["} {
		if chosen, err := choose(only); err == nil {
			t.Errorf("choose(%q) gives %v, want an error", only, chosen)
		}
	}
	chosen, err := choose("veth*,vde")
	if err != nil || len(chosen) != 3 {
		t.Errorf("choose gives %v, error %v; want 3 systems", chosen, err)
	}
}
