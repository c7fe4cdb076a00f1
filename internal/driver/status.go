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

// identity is the part of the status that never has to be waited for.
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
	port := p.port.Status()
	s.Offload, s.Merged, s.Oversize = p.offload.describe(port.Merging), port.Counters.Merged, port.Counters.Oversize
	countSent(&s.Stats, p.outbound.Counters(), s.Drops)
	if p.cfg.Format == element.NetHdr {
		s.Marks = p.marking.status(p.dev, port)
		countUnmarked(&s.Stats, s.Marks, s.Drops)
	}
	for _, c := range p.kids() {
		if child := c.status(); child != nil {
			s.Children = append(s.Children, *child)
		}
	}
	if p.out != nil {
		s.Writer = writerStatus(p.sender.Status())
		describe(&s.Writer.Channel, p.out, p.cfg.WriterProtocol, p.up)
	}
	if p.inbound != nil {
		countReceived(&s.Stats, port, s.Drops)
		in := p.inbound.Status()
		s.Reader = readerStatus(in)
		countElements(&s.Stats, in, s.Drops)
		describe(&s.Reader.Channel, p.in, p.cfg.ReaderProtocol, p.up)
		if r := p.in.region; r != nil && s.Reader.Peer == datapath.PeerInactive.String() {
			if err := r.CheckHeader(); errors.Is(err, region.ErrNoChannel) {
				s.Reader.Reason = err.Error()
			}
		}
	}
	return &s
}

// describe adds what the driver knows of an end of a channel.
func describe(c *api.Channel, e *end, protocol uint64, up bool) {
	c.Region, c.Protocol = e.path(), hex(protocol)
	if r := e.region; r != nil {
		c.RegionSize, c.Memory, c.Mapping, c.Owner = r.Size(), r.Kind().String(), r.Mapping(), r.Owner()
	}
	c.Enabled = up && e.err == nil
	c.Error, c.File, c.Replaced = text(e.err), text(e.file), e.replaced
}

// text is what an error says; nil says nothing.
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

// status describes the child as it is now; nil if it is closed.
func (c *child) status() *api.Child {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed() {
		return nil
	}
	at, port := c.at(), c.port.Status()
	s := &api.Child{
		Name: at.name, Index: at.index, NetNS: at.netns, MTU: c.state.MTU, Up: c.up,
		Held: c.held(), Marks: c.marking.status(c.dev, port), Adopted: c.adopted, Drops: map[string]uint64{},
		Offload: c.offload.describe(port.Merging), Merged: port.Counters.Merged,
		Oversize: port.Counters.Oversize,
	}
	countSent(&s.Stats, c.outbound.Counters(), s.Drops)
	countUnmarked(&s.Stats, s.Marks, s.Drops)
	countReceived(&s.Stats, port, s.Drops)
	return s
}

// countSent adds what a device handed to the out-channel.
func countSent(s *api.Stats, c datapath.TxCounters, to map[string]uint64) {
	s.TxPackets, s.TxBytes, s.TxDropped = c.Packets, c.Bytes, c.Dropped
	drops(to, "tx_", c.Faults[:], element.Fault.String)
	drops(to, "tx_", c.Reasons[:], datapath.Reason.String)
}

// countUnmarked adds what the programs did not let into a queue.
func countUnmarked(s *api.Stats, m *api.Marking, to map[string]uint64) {
	s.TxDropped += m.Overflows + m.Mismatches
	drops(to, "tx_mark_", []uint64{m.Overflows, m.Mismatches}, func(i uint8) string { return [...]string{"overflow", "mismatch"}[i] })
}

// countReceived adds what a device was handed from the in-channel.
func countReceived(s *api.Stats, p datapath.PortStatus, to map[string]uint64) {
	s.RxPackets, s.RxBytes, s.RxDropped = p.Counters.Packets, p.Counters.Bytes, p.Counters.Dropped
	drops(to, "rx_", p.Counters.Reasons[:], datapath.Reason.String)
}

func readerStatus(r datapath.InboundStatus) *api.Reader {
	return &api.Reader{
		Channel: api.Channel{Epoch: hex(uint64(r.Epoch)), ElementSize: r.Size, Elements: r.Elements, Doorbell: r.Doorbell, DoorbellError: text(r.DoorbellErr)},
		Peer:    r.Peer.String(), Reason: r.Reason,
		Epochs: r.Reader.EpochChanges, Overruns: r.Reader.Overruns, Lost: r.Reader.Lost,
		ProtocolErrors: r.Reader.ProtocolErrors, Wakeups: r.Wakeups, Timeouts: r.Timeouts,
	}
}

// countElements adds the elements of the in-channel that held no packet.
func countElements(s *api.Stats, r datapath.InboundStatus, to map[string]uint64) {
	s.RxOverErrors = r.Reader.Overruns
	for _, n := range r.Faults {
		s.RxFrameErrors += n
	}
	s.RxErrors = s.RxFrameErrors + s.RxOverErrors
	drops(to, "rx_", r.Faults[:], element.Fault.String)
}

// drops adds the reasons that happened to a map of them.
func drops[R ~uint8](to map[string]uint64, prefix string, counts []uint64, name func(R) string) {
	for r, n := range counts {
		if n > 0 {
			to[prefix+name(R(r))] += n
		}
	}
}
