package api

// Interface is the current state of an interface. Counters start at 0 when this
// process loads the interface, even if it adopts the device.
type Interface struct {
	// Name is the name in the kernel, 1 to 15 bytes.
	Name string `json:"name"`
	// Index is the interface index, 1 or more, unique within the namespace.
	Index int `json:"ifindex"`
	// NetNS is the inode number of the network namespace of the interface; 0:
	// the kernel has no network namespaces (no CONFIG_NET_NS).
	NetNS uint64 `json:"netns"`
	// Mode is the format of the elements: "raw", "net_hdr" or "eth_dev".
	Mode string `json:"mode"`
	// In and Out are the channels as configured; "" and absent: the
	// interface does not have this direction.
	In  string `json:"in,omitempty"`
	Out string `json:"out,omitempty"`
	// MTU is the current MTU in the kernel, in bytes.
	MTU int `json:"mtu"`
	// Up says whether the interface is administratively up.
	Up bool `json:"up"`
	// Carrier says what the carrier follows: "admin" or "peer".
	Carrier string `json:"carrier"`
	// MAC is the Ethernet address, six hexadecimal bytes with colons;
	// absent unless Mode is "eth_dev".
	MAC string `json:"mac,omitempty"`
	// Poll is the longest sleep between two looks at a channel whose writer
	// rings no doorbell, in milliseconds; 0: as short as possible, 50 µs.
	Poll int `json:"poll"`
	// Renew is how long a peer may be silent before a new epoch is started
	// for it, in seconds; 0: forever.
	Renew int `json:"renew"`
	// Adopted says that the device was taken over from a process that ended
	// without a clean stop.
	Adopted bool `json:"adopted"`
	// Stale is set if the interface does not answer, and says from what
	// time the rest is. Name, Index and NetNS are always current.
	Stale string `json:"stale,omitempty"`
	// Offload is the state of segmentation offload: "off", or those that
	// are active, separated by blanks, in this order: "tso" (the kernel
	// leaves the segmentation of TCP to muennet), "uso" (the same for UDP)
	// and "gro" (the kernel accepts packets that muennet merged).
	Offload string `json:"offload"`
	// Merged counts received packets that were passed to the kernel
	// together with others.
	Merged uint64 `json:"merged"`
	// Oversize counts received packets that are longer than the interface
	// may send with its MTU. They are delivered like any other.
	Oversize uint64 `json:"rx_oversize"`
	// PMTU is the region with the path MTU of each mark, as configured;
	// absent: none.
	PMTU string `json:"pmtu,omitempty"`
	// PMTUFile says that the file of that region was removed or replaced.
	// The old one remains in use until the next load. Absent: neither.
	PMTUFile string `json:"pmtu_file,omitempty"`
	// Marking says how Netfilter marks are carried; nil and absent unless
	// Mode is "net_hdr".
	Marking *Marking `json:"marking,omitempty"`
	// Children are in the order in which they were added; absent: none.
	Children []Child `json:"children,omitempty"`
	// Writer is the state of the out-channel; nil and absent without Out.
	Writer *Writer `json:"writer,omitempty"`
	// Reader is the state of the in-channel; nil and absent without In.
	Reader *Reader `json:"reader,omitempty"`
	// Stats are the packet counters of the interface, excluding its
	// children.
	Stats Stats `json:"stats"`
	// Drops counts packets and elements that were not passed on, by reason:
	// "rx_" or "tx_" and a word. Reasons without drops are absent; new
	// reasons may be added.
	Drops map[string]uint64 `json:"drops"`
}

// Child is the state of an interface that shares the channels of its parent.
// Its counters start like those of Interface.
type Child struct {
	// Name is the name in the kernel, 1 to 15 bytes.
	Name string `json:"name"`
	// Index is the interface index, 1 or more, unique within the namespace.
	Index int `json:"ifindex"`
	// NetNS is the inode number of the network namespace of the interface; 0:
	// the kernel has no network namespaces (no CONFIG_NET_NS).
	NetNS uint64 `json:"netns"`
	// MTU is the current MTU in the kernel, in bytes.
	MTU int `json:"mtu"`
	// Up says whether the interface is administratively up.
	Up bool `json:"up"`
	// Marks are the marks whose packets the child receives, each 1 to
	// 2^32-1, in ascending order; empty and never nil for a live child: none.
	Marks []uint32 `json:"marks"`
	// Marking says how Netfilter marks are carried; never nil for a live
	// child.
	Marking *Marking `json:"marking"`
	// Adopted is as in Interface.
	Adopted bool `json:"adopted"`
	// Offload, Merged and Oversize are as in Interface.
	Offload  string `json:"offload"`
	Merged   uint64 `json:"merged"`
	Oversize uint64 `json:"rx_oversize"`
	// Stats are the packet counters of the child. RxErrors, RxOverErrors
	// and RxFrameErrors belong to the channel: they are counted for the
	// parent, and are 0 here.
	Stats Stats `json:"stats"`
	// Drops is as in Interface.
	Drops map[string]uint64 `json:"drops"`
}

// Marking is how the Netfilter marks of a device are carried.
type Marking struct {
	// Outgoing is the state from packets to elements: "active", or why not.
	Outgoing string `json:"outgoing"`
	// Incoming is the state from elements to packets: "active" with the
	// method in parentheses ("tcx", "clsact", "on demand"), or why not.
	Incoming string `json:"incoming"`
	// Queues is the number of queues of the device, at least 1: one more
	// than the number of marks that fit at a time.
	Queues int `json:"queues"`
	// Overflows counts packets dropped because all queues were in use by
	// other marks.
	Overflows uint64 `json:"overflows"`
	// Mismatches counts packets dropped because their mark changed, or lost
	// its queue, while they were in a qdisc.
	Mismatches uint64 `json:"mismatches"`
	// Unmarked counts packets that were received without their mark.
	Unmarked uint64 `json:"unmarked"`
}

// Stats are the packet counters of an interface, as the kernel module defines
// them.
type Stats struct {
	// RxPackets and TxPackets count packets passed to the kernel and taken
	// from it.
	RxPackets uint64 `json:"rx_packets"`
	TxPackets uint64 `json:"tx_packets"`
	// RxBytes and TxBytes count their bytes. With "net_hdr" TxBytes
	// includes the 8-byte header of each element.
	RxBytes uint64 `json:"rx_bytes"`
	TxBytes uint64 `json:"tx_bytes"`
	// RxErrors is RxOverErrors + RxFrameErrors.
	RxErrors uint64 `json:"rx_errors"`
	// RxDropped counts received packets that the kernel did not accept,
	// TxDropped packets that were not sent. Interface.Drops has the
	// reasons.
	RxDropped uint64 `json:"rx_dropped"`
	TxDropped uint64 `json:"tx_dropped"`
	// RxOverErrors counts overruns of the in-channel, like Reader.Overruns.
	RxOverErrors uint64 `json:"rx_over_errors"`
	// RxFrameErrors counts elements whose content was not a packet.
	RxFrameErrors uint64 `json:"rx_frame_errors"`
}
