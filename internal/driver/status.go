package driver

import (
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
	Adopted bool   `json:"adopted"`       // taken over from a daemon that ended without a clean stop
	// Offload is the state of segmentation offload in words.
	Offload string `json:"offload,omitempty"`

	Writer *WriterStatus `json:"writer,omitempty"` // nil without an out-channel
	Reader *ReaderStatus `json:"reader,omitempty"` // nil without an in-channel
	Stats  Stats         `json:"stats"`
	// Drops counts what was not passed on, by reason; reasons that never
	// happened are absent.
	Drops map[string]uint64 `json:"drops"`
}

// Channel is the state of one end of a channel.
type Channel struct {
	Region      string `json:"region"`          // path of the region
	RegionSize  int    `json:"region_size"`     // bytes
	Enabled     bool   `json:"enabled"`         // the interface is up and the region usable
	Error       string `json:"error,omitempty"` // why the region is not usable
	Protocol    string `json:"protocol"`        // hexadecimal with 0x
	Epoch       string `json:"epoch"`           // hexadecimal with 0x; 0x0 = inactive
	ElementSize int    `json:"element_size"`    // bytes
	Elements    int    `json:"elements"`
	Doorbell    string `json:"doorbell"` // how the reader is woken
}

// WriterStatus is the state of the out-channel.
type WriterStatus struct {
	Channel
	Written uint64 `json:"written"` // elements since the epoch began
	Rings   uint64 `json:"rings"`   // doorbells rung
}

// ReaderStatus is the state of the in-channel.
type ReaderStatus struct {
	Channel
	// Peer is inactive, active or incompatible (Reason says why).
	Peer           string `json:"peer"`
	Reason         string `json:"reason,omitempty"`
	Epochs         uint64 `json:"epochs"`          // epochs followed so far
	Overruns       uint64 `json:"overruns"`        // times the writer was a ring ahead
	Lost           uint64 `json:"lost"`            // elements lost by that
	ProtocolErrors uint64 `json:"protocol_errors"` // counters that contradict each other
	Wakeups        uint64 `json:"wakeups"`         // doorbells heard
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

// status describes the interface as it is now.
func (p *parent) status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{
		Name: p.state.Name, Index: p.state.Index, NetNS: p.netns,
		Mode: p.cfg.Format.String(), In: p.cfg.In, Out: p.cfg.Out,
		MTU: p.mtu, Up: p.up, Carrier: p.cfg.Carrier.String(),
		Poll: int(p.poll.Milliseconds()), Adopted: p.adopted, Drops: map[string]uint64{},
	}
	if p.cfg.Format == element.EthDev {
		s.MAC = p.state.HardwareAddr.String()
	}
	s.sent(p.outbound.Counters())
	if p.sender != nil {
		s.writer(p.sender.Status())
		s.Writer.Channel.describe(p.out, p.cfg.WriterProtocol, p.up, p.outErr)
	}
	if p.inbound != nil {
		s.received(p.port.Status())
		s.reader(p.inbound.Status())
		s.Reader.Channel.describe(p.in, p.cfg.ReaderProtocol, p.up, p.inErr)
	}
	return s
}

func (c *Channel) describe(r *region.Region, protocol uint64, up bool, err error) {
	c.Region, c.RegionSize, c.Protocol = r.Path(), r.Size(), hex(protocol)
	c.Enabled = up && err == nil
	if err != nil {
		c.Error = err.Error()
	}
}

func (s *Status) writer(w datapath.SenderStatus) {
	s.Writer = &WriterStatus{
		Channel: Channel{Epoch: hex(uint64(w.Epoch)), ElementSize: w.Size, Elements: w.Elements, Doorbell: "futex"},
		Written: w.Written, Rings: w.Rings,
	}
}

// sent adds what a device handed to the out-channel.
func (s *Status) sent(c datapath.TxCounters) {
	s.Stats.TxPackets, s.Stats.TxBytes, s.Stats.TxDropped = c.Packets, c.Bytes, c.Dropped
	drops(s.Drops, "tx_", c.Faults[:], element.Fault.String)
	drops(s.Drops, "tx_", c.Reasons[:], datapath.Reason.String)
}

// received adds what a device was handed from the in-channel.
func (s *Status) received(p datapath.PortStatus) {
	s.Stats.RxPackets, s.Stats.RxBytes, s.Stats.RxDropped = p.Counters.Packets, p.Counters.Bytes, p.Counters.Dropped
	drops(s.Drops, "rx_", p.Counters.Reasons[:], datapath.Reason.String)
}

func (s *Status) reader(r datapath.InboundStatus) {
	s.Reader = &ReaderStatus{
		Channel: Channel{Epoch: hex(uint64(r.Epoch)), ElementSize: r.Size, Elements: r.Elements, Doorbell: r.Doorbell},
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
