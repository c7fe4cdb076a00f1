package driver

import (
	"errors"
	"fmt"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/datapath"
	"github.com/muennet/muennet/internal/region"
)

func hex(n uint64) string { return fmt.Sprintf("%#x", n) }

// identity is the part of the status that needs no waiting.
func (p *parent) identity() api.Interface {
	at := p.at()
	return api.Interface{
		Name: at.name, Index: at.index, NetNS: at.netns,
		Mode: p.cfg.Format.String(), In: p.cfg.In, Out: p.cfg.Out,
		Carrier: p.cfg.Carrier.String(),
		Poll:    int(p.poll.Milliseconds()), Renew: int(p.cfg.RenewAfter().Seconds()), Adopted: p.adopted, PMTU: p.cfg.PMTU,
		Drops: map[string]uint64{},
	}
}

// status describes the interface as it is now; nil if it is closed.
func (p *parent) status() *api.Interface {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed() {
		return nil
	}
	s := p.identity()
	s.MTU, s.Up = p.mtu, p.up
	if p.cfg.Format == element.EthDev {
		s.MAC = p.state.HardwareAddr.String()
	}
	s.PMTUFile = text(p.pmtuFile)
	t := p.traffic(s.Drops)
	s.Offload, s.Merged, s.Oversize, s.Marking, s.Stats = t.offload, t.merged, t.oversize, t.marks, t.stats
	for _, c := range p.family.all() {
		if child := c.status(); child != nil {
			s.Children = append(s.Children, *child)
		}
	}
	if p.out != nil {
		s.Writer = writerStatus(p.sink.Status())
		p.out.describe(&s.Writer.Channel, p.cfg.WriterProtocol)
	}
	if p.in != nil {
		in := p.inbound.Status()
		s.Reader = readerStatus(in)
		countElements(&s.Stats, in, s.Drops)
		p.in.describe(&s.Reader.Channel, p.cfg.ReaderProtocol)
		if r := p.in.region; r != nil && s.Reader.Peer == datapath.PeerInactive.String() {
			if err := r.CheckHeader(); errors.Is(err, region.ErrNoChannel) {
				s.Reader.Reason = err.Error()
			}
		}
	}
	return &s
}

// status describes the child as it is now; nil if it is closed.
func (c *child) status() *api.Child {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed() {
		return nil
	}
	at, drops := c.at(), map[string]uint64{}
	t := c.traffic(drops)
	return &api.Child{
		Name: at.name, Index: at.index, NetNS: at.netns, MTU: c.mtu, Up: c.up,
		Marks: append([]uint32{}, c.held()...), Marking: t.marks, Adopted: c.adopted, Drops: drops,
		Offload: t.offload, Merged: t.merged, Oversize: t.oversize, Stats: t.stats,
	}
}

// traffic is what parents and children show alike.
type traffic struct {
	offload          string
	merged, oversize uint64
	marks            *api.Marking // nil unless the format carries marks
	stats            api.Stats
}

// traffic describes what the device has sent and received, and adds the reasons
// of drops to a map.
func (ep *endpoint) traffic(drops map[string]uint64) traffic {
	port := ep.port.Status()
	t := traffic{offload: ep.offload.describe(port.Merging), merged: port.Counters.Merged, oversize: port.Counters.Oversize}
	countSent(&t.stats, ep.outbound.Counters(), drops)
	countReceived(&t.stats, port, drops)
	if ep.cfg.Format == element.NetHdr {
		t.marks = ep.marking.status(ep.dev, port)
		countUnmarked(&t.stats, t.marks, drops)
	}
	return t
}

// describe adds what the driver knows of an end to what its forwarder knows.
func (e *end) describe(c *api.Channel, protocol uint64) {
	c.Region, c.Protocol = e.path(), hex(protocol)
	if r := e.region; r != nil {
		c.RegionSize, c.Memory, c.Mapping, c.Owner = r.Size(), r.Kind().String(), r.Mapping(), r.Owner()
	}
	c.Enabled = e.owner.up && e.err == nil
	c.Error, c.File, c.Replaced = text(e.err), text(e.file), e.replaced
}

// text returns the text of an error; "" for nil.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func writerStatus(w datapath.SenderStatus) *api.Writer {
	return &api.Writer{
		Channel: api.Channel{Epoch: hex(uint64(w.Epoch)), ElementSize: w.Size, Elements: w.Elements, Doorbell: w.Doorbell, DoorbellError: text(w.DoorbellErr)},
		Written: w.Written, Rings: w.Rings, RingErrors: w.RingErrors,
		Waits: w.Waits, Renewals: w.Renewals,
	}
}

// countSent adds what a device handed to the out-channel.
func countSent(s *api.Stats, c datapath.TxCounters, to map[string]uint64) {
	s.TxPackets, s.TxBytes, s.TxDropped = c.Packets, c.Bytes, c.Dropped
	drops(to, "tx_", c.Faults[:], element.Fault.String)
	drops(to, "tx_", c.Reasons[:], datapath.Reason.String)
}

// countUnmarked adds the packets that the programs kept out of the queues.
func countUnmarked(s *api.Stats, m *api.Marking, to map[string]uint64) {
	s.TxDropped += m.Overflows + m.Mismatches
	drops(to, "tx_mark_", []uint64{m.Overflows, m.Mismatches}, func(i uint8) string { return [...]string{"overflow", "mismatch"}[i] })
}

// countReceived adds what a device got from the in-channel.
func countReceived(s *api.Stats, p datapath.PortStatus, to map[string]uint64) {
	s.RxPackets, s.RxBytes, s.RxDropped = p.Counters.Packets, p.Counters.Bytes, p.Counters.Dropped
	drops(to, "rx_", p.Counters.Reasons[:], datapath.Reason.String)
}

func readerStatus(r datapath.InboundStatus) *api.Reader {
	return &api.Reader{
		Channel: api.Channel{Epoch: hex(uint64(r.Epoch)), ElementSize: r.Size, Elements: r.Elements, Doorbell: r.Doorbell, DoorbellError: text(r.DoorbellErr)},
		Peer:    r.Peer.String(), Reason: r.Reason, SeenElementSize: r.Seen,
		Epochs: r.Reader.EpochChanges, Overruns: r.Reader.Overruns, Lost: r.Reader.Lost,
		ProtocolErrors: r.Reader.ProtocolErrors, Wakeups: r.Wakeups, Timeouts: r.Timeouts,
	}
}

// countElements adds the elements of the in-channel that were lost or no
// packets.
func countElements(s *api.Stats, r datapath.InboundStatus, to map[string]uint64) {
	s.RxOverErrors = r.Reader.Overruns
	for _, n := range r.Faults {
		s.RxFrameErrors += n
	}
	s.RxErrors = s.RxFrameErrors + s.RxOverErrors
	drops(to, "rx_", r.Faults[:], element.Fault.String)
}

// drops adds the reasons that have occurred to a map.
func drops[R ~uint8](to map[string]uint64, prefix string, counts []uint64, name func(R) string) {
	for r, n := range counts {
		if n > 0 {
			to[prefix+name(R(r))] += n
		}
	}
}
