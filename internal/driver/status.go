package driver

import (
	"errors"
	"fmt"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/datapath"
	"github.com/muennet/muennet/internal/region"
)

// Status is what is known of one interface at one moment, as `muennet show
// --json` prints it.
type Status struct {
	Name    string `json:"name"`
	Index   int    `json:"ifindex"`
	NetNS   uint64 `json:"netns"` // inode number of its network namespace
	Mode    string `json:"mode"`  // raw, net_hdr or eth_dev
	In      string `json:"in,omitempty"`
	Out     string `json:"out,omitempty"`
	MTU     int    `json:"mtu"` // bytes
	Up      bool   `json:"up"`
	Carrier string `json:"carrier"`       // admin or peer: what it follows
	MAC     string `json:"mac,omitempty"` // eth_dev
	Poll    int    `json:"poll"`          // milliseconds
	Renew   int    `json:"renew"`         // seconds; 0 = never
	Adopted bool   `json:"adopted"`       // taken over from a daemon that ended without a clean stop
	// Stale says that the interface does not answer, and of what time the rest is;
	// name, ifindex and netns are those of now. Usually absent.
	Stale string `json:"stale,omitempty"`
	// Offload is the state of segmentation offload: off, or what of tso (the
	// kernel leaves cutting TCP to us), uso (UDP) and gro (it takes packets that
	// we merged) is active.
	Offload string `json:"offload"`
	// Merged counts received packets that were handed over together with others.
	Merged uint64 `json:"merged"`
	// Oversize counts received packets that are longer than the interface's MTU
	// lets it send. They are delivered like any other.
	Oversize uint64 `json:"rx_oversize"`
	// PMTU names the region with the path MTU of each mark.
	PMTU string `json:"pmtu,omitempty"`
	// PMTUFile is what became of its file: it was removed or replaced, and the old
	// one is used on until the next load.
	PMTUFile string `json:"pmtu_file,omitempty"`
	// Marks says how Netfilter marks are carried; nil where the mode has none.
	Marks *Marking `json:"marks,omitempty"`
	// Children in the order in which they were added.
	Children []ChildStatus `json:"children,omitempty"`

	Writer *WriterStatus `json:"writer,omitempty"` // nil without an out-channel
	Reader *ReaderStatus `json:"reader,omitempty"` // nil without an in-channel
	Stats  Stats         `json:"stats"`
	// Drops counts what was not passed on, by reason; reasons that never
	// happened are absent.
	Drops map[string]uint64 `json:"drops"`
}

// Marking is how the Netfilter marks of one device are carried.
type Marking struct {
	Outgoing   string `json:"outgoing"`   // from packets to elements: "active", or why not
	Incoming   string `json:"incoming"`   // from elements to packets: "active (tcx)", "active (clsact)", or why not
	Queues     int    `json:"queues"`     // of the device: marks that fit at a time, plus 1
	Overflows  uint64 `json:"overflows"`  // packets dropped because all queues were busy with other marks
	Mismatches uint64 `json:"mismatches"` // packets dropped because their mark changed, or lost its queue, on the way through a qdisc
	Unmarked   uint64 `json:"unmarked"`   // packets received without the mark they came with
}

// ChildStatus is the state of a child.
type ChildStatus struct {
	Name    string   `json:"name"`
	Index   int      `json:"ifindex"`
	NetNS   uint64   `json:"netns"` // inode number of its network namespace
	MTU     int      `json:"mtu"`   // bytes
	Up      bool     `json:"up"`
	Held    []uint32 `json:"held"` // the marks whose packets it receives, sorted
	Marks   *Marking `json:"marks"`
	Adopted bool     `json:"adopted"`
	Offload string   `json:"offload"` // as in Status
	Merged  uint64   `json:"merged"`
	// Oversize as in Status.
	Oversize uint64            `json:"rx_oversize"`
	Stats    Stats             `json:"stats"`
	Drops    map[string]uint64 `json:"drops"`
}

// Channel is the state of one end of a channel.
type Channel struct {
	Region     string `json:"region"`          // path of the region
	RegionSize int    `json:"region_size"`     // bytes; 0: it is too small to be mapped
	Memory     string `json:"memory"`          // file, muenfs or pci; "" as long as it is not mapped
	Owner      string `json:"owner"`           // user that the region's file belongs to: name, or number where it has none
	Enabled    bool   `json:"enabled"`         // the interface is up and the region usable
	Error      string `json:"error,omitempty"` // why the region is not usable
	// File is what became of the region's file while the region goes on: that it
	// was removed, or replaced by one that cannot be used, and why not.
	File string `json:"file,omitempty"`
	// Replaced counts how often another file under the same name was taken over.
	Replaced    uint64 `json:"replaced"`
	Protocol    string `json:"protocol"`     // hexadecimal with 0x
	Epoch       string `json:"epoch"`        // hexadecimal with 0x; 0x0 = inactive
	ElementSize int    `json:"element_size"` // bytes
	Elements    int    `json:"elements"`
	// Doorbell is how the reader is woken: "futex", "muenfs events", or "polling",
	// which means that it is not. DoorbellError is why there is no bell, or what
	// the writer's last ring met.
	Doorbell      string `json:"doorbell"`
	DoorbellError string `json:"doorbell_error,omitempty"`
	// Mapping is how a pci device's memory is accessed, and how fast it was read
	// when the interface was loaded: "cached, reads 5200 MB/s".
	Mapping string `json:"mapping,omitempty"`
}

// WriterStatus is the state of the out-channel.
type WriterStatus struct {
	Channel
	Written    uint64 `json:"written"`     // elements since the epoch began
	Rings      uint64 `json:"rings"`       // doorbells rung: events sent
	RingErrors uint64 `json:"ring_errors"` // doorbells that could not be rung
	Waits      uint64 `json:"waits"`       // pauses for readers that have to look for themselves
	Renewals   uint64 `json:"renewals"`    // epochs begun because the peer's reader seemed to be stuck
}

// ReaderStatus is the state of the in-channel.
type ReaderStatus struct {
	Channel
	// Peer is inactive, active or incompatible. Reason says why it is
	// incompatible, or that what is inactive is no channel.
	Peer           string `json:"peer"`
	Reason         string `json:"reason,omitempty"`
	Epochs         uint64 `json:"epochs"`          // epochs followed so far
	Overruns       uint64 `json:"overruns"`        // times the writer was a ring ahead
	Lost           uint64 `json:"lost"`            // elements lost by that
	ProtocolErrors uint64 `json:"protocol_errors"` // counters that contradict each other
	Wakeups        uint64 `json:"wakeups"`         // doorbells heard: events received
	Timeouts       uint64 `json:"timeouts"`        // looks without a doorbell
}

// Stats are the counters of the kernel module, with its meaning.
type Stats struct {
	RxPackets     uint64 `json:"rx_packets"`
	TxPackets     uint64 `json:"tx_packets"`
	RxBytes       uint64 `json:"rx_bytes"`
	TxBytes       uint64 `json:"tx_bytes"` // net_hdr: with the 8-byte header
	RxErrors      uint64 `json:"rx_errors"`
	RxDropped     uint64 `json:"rx_dropped"`
	TxDropped     uint64 `json:"tx_dropped"`
	RxOverErrors  uint64 `json:"rx_over_errors"`
	RxFrameErrors uint64 `json:"rx_frame_errors"`
}

func hex(n uint64) string { return fmt.Sprintf("%#x", n) }

// identity is the part of the status that never has to be waited for.
func (p *parent) identity() Status {
	at := p.at()
	return Status{
		Name: at.name, Index: at.index, NetNS: at.netns,
		Mode: p.cfg.Format.String(), In: p.cfg.In, Out: p.cfg.Out,
		Carrier: p.cfg.Carrier.String(),
		Poll:    int(p.poll.Milliseconds()), Renew: int(p.cfg.renewal().Seconds()), Adopted: p.adopted, PMTU: p.cfg.PMTU,
		Drops: map[string]uint64{},
	}
}

// status describes the interface as it is now; nil if it is closed.
func (p *parent) status() *Status {
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
	s.Stats.sent(p.outbound.Counters(), s.Drops)
	if p.cfg.Format == element.NetHdr {
		s.Marks = p.marking.status(p.dev, port)
		s.Stats.unmarked(s.Marks, s.Drops)
	}
	for _, c := range p.kids() {
		if child := c.status(); child != nil {
			s.Children = append(s.Children, *child)
		}
	}
	if p.sender != nil {
		s.writer(p.sender.Status())
		s.Writer.Channel.describe(p.out, p.cfg.WriterProtocol, p.up)
	}
	if p.inbound != nil {
		s.Stats.received(port, s.Drops)
		s.reader(p.inbound.Status())
		s.Reader.Channel.describe(p.in, p.cfg.ReaderProtocol, p.up)
		if r := p.in.region; r != nil && s.Reader.Peer == datapath.PeerInactive.String() {
			if err := r.CheckHeader(); errors.Is(err, region.ErrNoChannel) {
				s.Reader.Reason = err.Error()
			}
		}
	}
	return &s
}

func (c *Channel) describe(e *end, protocol uint64, up bool) {
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

func (s *Status) writer(w datapath.SenderStatus) {
	s.Writer = &WriterStatus{
		Channel: Channel{Epoch: hex(uint64(w.Epoch)), ElementSize: w.Size, Elements: w.Elements, Doorbell: w.Doorbell, DoorbellError: text(w.DoorbellErr)},
		Written: w.Written, Rings: w.Rings, RingErrors: w.RingErrors,
		Waits: w.Waits, Renewals: w.Renewals,
	}
}

// status describes the child as it is now; nil if it is closed.
func (c *child) status() *ChildStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed() {
		return nil
	}
	at, port := c.at(), c.port.Status()
	s := &ChildStatus{
		Name: at.name, Index: at.index, NetNS: at.netns, MTU: c.state.MTU, Up: c.up,
		Held: c.held(), Marks: c.marking.status(c.dev, port), Adopted: c.adopted, Drops: map[string]uint64{},
		Offload: c.offload.describe(port.Merging), Merged: port.Counters.Merged,
		Oversize: port.Counters.Oversize,
	}
	s.Stats.sent(c.outbound.Counters(), s.Drops)
	s.Stats.unmarked(s.Marks, s.Drops)
	s.Stats.received(port, s.Drops)
	return s
}

// sent adds what a device handed to the out-channel.
func (s *Stats) sent(c datapath.TxCounters, to map[string]uint64) {
	s.TxPackets, s.TxBytes, s.TxDropped = c.Packets, c.Bytes, c.Dropped
	drops(to, "tx_", c.Faults[:], element.Fault.String)
	drops(to, "tx_", c.Reasons[:], datapath.Reason.String)
}

// unmarked adds what the programs did not let into a queue.
func (s *Stats) unmarked(m *Marking, to map[string]uint64) {
	s.TxDropped += m.Overflows + m.Mismatches
	drops(to, "tx_mark_", []uint64{m.Overflows, m.Mismatches}, func(i uint8) string { return [...]string{"overflow", "mismatch"}[i] })
}

// received adds what a device was handed from the in-channel.
func (s *Stats) received(p datapath.PortStatus, to map[string]uint64) {
	s.RxPackets, s.RxBytes, s.RxDropped = p.Counters.Packets, p.Counters.Bytes, p.Counters.Dropped
	drops(to, "rx_", p.Counters.Reasons[:], datapath.Reason.String)
}

func (s *Status) reader(r datapath.InboundStatus) {
	s.Reader = &ReaderStatus{
		Channel: Channel{Epoch: hex(uint64(r.Epoch)), ElementSize: r.Size, Elements: r.Elements, Doorbell: r.Doorbell, DoorbellError: text(r.DoorbellErr)},
		Peer:    r.Peer.String(), Reason: r.Reason,
		Epochs: r.Reader.EpochChanges, Overruns: r.Reader.Overruns, Lost: r.Reader.Lost,
		ProtocolErrors: r.Reader.ProtocolErrors, Wakeups: r.Wakeups, Timeouts: r.Timeouts,
	}
	s.Stats.RxOverErrors = r.Reader.Overruns
	for _, n := range r.Faults {
		s.Stats.RxFrameErrors += n
	}
	s.Stats.RxErrors = s.Stats.RxFrameErrors + s.Stats.RxOverErrors
	drops(s.Drops, "rx_", r.Faults[:], element.Fault.String)
}

// drops adds the reasons that happened to a map of them.
func drops[R ~uint8](to map[string]uint64, prefix string, counts []uint64, name func(R) string) {
	for r, n := range counts {
		if n > 0 {
			to[prefix+name(R(r))] += n
		}
	}
}
