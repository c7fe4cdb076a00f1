package main

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/muennet/muennet/bench/report"
	"github.com/muennet/muennet/bench/testbed"
	"github.com/muennet/muennet/bench/traffic"
)

// lead is how long traffic runs before it counts: TCP finds its window, and
// wake-ups adapt.
const lead = 300 * time.Millisecond

// measurement is one visit to a system.
type measurement struct {
	bed     *testbed.Bed
	seconds time.Duration
	sample  report.Sample
}

// flow is traffic from one host to the other: the end that waits, and the one
// that goes there.
type flow struct {
	from, to     *testbed.Host
	sink, source traffic.Role
	streams      int
	port         uint16 // 0 or 1: which of the host's ports
}

// outcome is what the ends of a flow have seen.
type outcome struct{ sink, source traffic.Result }

// send lets flows run at the same time for as long as d says, and returns what
// became of each, and the processor time used by everything.
func (m *measurement) send(d time.Duration, flows ...flow) (outcomes []outcome, used time.Duration, err error) {
	var ends []*traffic.Process // sink and source of each flow in turn
	defer func() {
		for _, p := range ends {
			p.Close()
		}
	}()
	for _, f := range flows {
		port := f.to.FirstPort + f.port
		sink, err := traffic.Start(traffic.Job{Role: f.sink, Streams: f.streams,
			Addr: netip.AddrPortFrom(netip.IPv4Unspecified(), port)}, f.to.Exec)
		if err != nil {
			return nil, 0, err
		}
		ends = append(ends, sink)
		source, err := traffic.Start(traffic.Job{Role: f.source, Streams: f.streams,
			Addr: netip.AddrPortFrom(f.to.Addr, port)}, f.from.Exec)
		if err != nil {
			return nil, 0, err
		}
		ends = append(ends, source)
	}
	from := traffic.Now() + int64(lead)
	w := traffic.Window{From: from, To: from + int64(d)}
	for _, p := range ends {
		if err := p.Measure(w); err != nil {
			return nil, 0, err
		}
	}
	used, err = usedIn(w)
	if err != nil {
		return nil, 0, err
	}
	for i := 0; i < len(ends); i += 2 {
		var o outcome
		if o.source, err = ends[i+1].Result(); err != nil {
			return nil, 0, err
		}
		if o.sink, err = ends[i].Result(); err != nil {
			return nil, 0, err
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, used, nil
}

// usedIn sleeps through the window and returns the processor time used in it.
func usedIn(w traffic.Window) (time.Duration, error) {
	traffic.SleepUntil(w.From)
	before, err := idle()
	if err != nil {
		return 0, err
	}
	start := traffic.Now()
	traffic.SleepUntil(w.To)
	after, err := idle()
	if err != nil {
		return 0, err
	}
	return busy(after-before, time.Duration(traffic.Now()-start)), nil
}

// stream is bulk TCP one way.
func (m *measurement) stream(from, to *testbed.Host, streams int) flow {
	return flow{from: from, to: to, sink: traffic.StreamSink, source: traffic.StreamSource, streams: streams}
}

func (m *measurement) warmUp() error {
	d := min(m.seconds, 300*time.Millisecond)
	for _, f := range []flow{m.stream(m.bed.A, m.bed.B, 1), m.stream(m.bed.B, m.bed.A, 1)} {
		if _, _, err := m.send(d, f); err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
	}
	return nil
}

func (m *measurement) streams() error {
	var bytes uint64
	var processor time.Duration
	for _, step := range []struct {
		id       string
		from, to *testbed.Host
		streams  int
	}{
		{report.TCP1AB, m.bed.A, m.bed.B, 1},
		{report.TCP1BA, m.bed.B, m.bed.A, 1},
		{report.TCP4AB, m.bed.A, m.bed.B, 4},
		{report.TCP4BA, m.bed.B, m.bed.A, 4},
	} {
		outcomes, used, err := m.send(m.seconds, m.stream(step.from, step.to, step.streams))
		if err != nil {
			return fmt.Errorf("%s: %w", step.id, err)
		}
		o := outcomes[0]
		if o.sink.Total != o.source.Total {
			return fmt.Errorf("%s: %d bytes were sent, %d arrived", step.id, o.source.Total, o.sink.Total)
		}
		m.sample[step.id] = 8 * perSecond(o.sink) / 1e9
		if step.streams == 1 {
			bytes += o.sink.Units
			processor += used
		}
	}
	m.sample[report.TCP1] = (m.sample[report.TCP1AB] + m.sample[report.TCP1BA]) / 2
	if bytes > 0 {
		m.sample[report.CPU] = processor.Seconds() / (float64(bytes) / 1e9)
	}
	return nil
}

func (m *measurement) flood() error {
	outcomes, _, err := m.send(m.seconds, flow{from: m.bed.A, to: m.bed.B, sink: traffic.FloodSink, source: traffic.FloodSource})
	if err != nil {
		return fmt.Errorf("flood: %w", err)
	}
	o := outcomes[0]
	m.sample[report.UDPRate] = perSecond(o.sink) / 1e3
	m.sample[report.UDPLoss] = 100 * max(0, 1-float64(o.sink.Total)/float64(o.source.Total))
	return nil
}

func (m *measurement) pings() error {
	ping := flow{from: m.bed.A, to: m.bed.B, sink: traffic.Echo, source: traffic.Ping, port: 1}
	outcomes, _, err := m.send(m.seconds, ping)
	if err != nil {
		return fmt.Errorf("round trip: %w", err)
	}
	m.sample[report.RestP50] = microseconds(outcomes[0].source.P50)
	m.sample[report.RestP99] = microseconds(outcomes[0].source.P99)
	outcomes, _, err = m.send(m.seconds, ping, m.stream(m.bed.A, m.bed.B, 1))
	if err != nil {
		return fmt.Errorf("round trip beside a stream: %w", err)
	}
	m.sample[report.LoadedP50] = microseconds(outcomes[0].source.P50)
	m.sample[report.LoadedP99] = microseconds(outcomes[0].source.P99)
	return nil
}

func (m *measurement) memory() error {
	bytes, err := m.bed.Memory()
	m.sample[report.Memory] = float64(bytes) / (1 << 20)
	return err
}

func perSecond(r traffic.Result) float64 { return float64(r.Units) / r.Took.Seconds() }

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
