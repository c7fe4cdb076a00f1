package driver

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
