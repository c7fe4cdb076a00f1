package report

import (
	"encoding/json"
	"io"
	"slices"
	"time"
)

// Reference is the system of the kernel that others are compared with, and
// KindPeer the kind of those of which the best is compared with, too.
const (
	Reference = "veth"
	KindPeer  = "user space"
)

// Sample is what one round found out about a system: values by metric. A
// metric that could not be measured is missing.
type Sample map[string]float64

// Machine describes where and when the figures were taken.
type Machine struct {
	Time       time.Time `json:"time"`
	Kernel     string    `json:"kernel"`
	CPU        string    `json:"cpu"`
	CPUs       int       `json:"cpus"`
	Memory     uint64    `json:"memory_bytes"`
	Version    string    `json:"version"`    // of muennet
	Background float64   `json:"background"` // processors busy with something else before the run
}

// System is one of those compared, with everything measured of it.
type System struct {
	Name    string           `json:"name"`
	Kind    string           `json:"kind"`
	Note    string           `json:"note"`
	Samples []Sample         `json:"samples"` // one for each round
	Stats   map[string]Stats `json:"stats"`   // by metric; filled by Condense
}

// Stats condenses the samples of a metric.
type Stats struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	// How many times the median of the reference and of the best user-space
	// peer this median is; 0 where there is none to compare with.
	OfReference float64 `json:"of_reference,omitempty"`
	OfBestPeer  float64 `json:"of_best_peer,omitempty"`
}

// Run is a comparison.
type Run struct {
	Machine  Machine           `json:"machine"`
	Seconds  float64           `json:"seconds"` // of one measurement
	Metrics  []Metric          `json:"metrics"`
	Systems  []*System         `json:"systems"`
	BestPeer map[string]string `json:"best_peer"` // by metric; filled by Condense
	Skipped  []string          `json:"skipped,omitempty"`
	Failures []string          `json:"failures,omitempty"`
	Scale    []Scale           `json:"scale,omitempty"`
}

// Scale is what many interfaces in one process cost.
type Scale struct {
	Interfaces int     `json:"interfaces"`
	Peers      string  `json:"peers"`       // "futex", whose writers ring, or "polled"
	Ready      float64 `json:"ready_s"`     // from start to readiness
	Memory     float64 `json:"memory_mib"`  // VmRSS
	Own        float64 `json:"own_mib"`     // VmRSS without the channels
	Wakeups    float64 `json:"wakeups_hz"`  // idle
	CPU        float64 `json:"cpu_percent"` // idle, of one processor
	Threads    int     `json:"threads"`     // of the operating system
	Window     float64 `json:"window_s"`    // how long idleness was watched
	Ringing    float64 `json:"ringing"`     // share of the peers known to ring
}

// Condense computes statistics and ratios from the samples. Call it when all
// samples are there.
func (r *Run) Condense() {
	r.Metrics = Metrics
	r.BestPeer = make(map[string]string)
	for _, s := range r.Systems {
		s.Stats = make(map[string]Stats)
		for _, m := range Metrics {
			if st, ok := condense(s.Samples, m.ID); ok {
				s.Stats[m.ID] = st
			}
		}
	}
	for _, m := range Metrics {
		reference, peer := r.compared(m)
		for _, s := range r.Systems {
			st, ok := s.Stats[m.ID]
			if !ok {
				continue
			}
			if reference != nil {
				st.OfReference = ratio(st.Median, reference.Stats[m.ID].Median)
			}
			if peer != nil {
				st.OfBestPeer = ratio(st.Median, peer.Stats[m.ID].Median)
			}
			s.Stats[m.ID] = st
		}
		if peer != nil {
			r.BestPeer[m.ID] = peer.Name
		}
	}
}

// compared finds the reference and the best peer; nil where there is none.
func (r *Run) compared(m Metric) (reference, peer *System) {
	for _, s := range r.Systems {
		st, ok := s.Stats[m.ID]
		if !ok {
			continue
		}
		if s.Name == Reference {
			reference = s
		}
		if s.Kind != KindPeer {
			continue
		}
		if peer == nil || (st.Median < peer.Stats[m.ID].Median) == m.Lower && st.Median != peer.Stats[m.ID].Median {
			peer = s
		}
	}
	return reference, peer
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func condense(samples []Sample, id string) (s Stats, ok bool) {
	var values []float64
	for _, sample := range samples {
		if v, ok := sample[id]; ok {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return s, false
	}
	slices.Sort(values)
	n := len(values)
	s = Stats{Median: values[n/2], Min: values[0], Max: values[n-1]}
	if n%2 == 0 {
		s.Median = (values[n/2-1] + values[n/2]) / 2
	}
	return s, true
}

// JSON writes everything, samples included.
func (r *Run) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}
