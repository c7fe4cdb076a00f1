package api

// Interface is the state of one interface at one moment. Counters count from
// the load of the interface in this process, which for an adopted one too begins
// at 0.
type Interface struct {
	// Name as the kernel knows it, 1 to 15 bytes.
	Name string `json:"name"`
	// Index is the interface index, 1 or more, unique within the namespace.
	Index int `json:"ifindex"`
	// NetNS is the inode number of the network namespace it is in.
	NetNS uint64 `json:"netns"`
	// Mode is the format of the elements: "raw", "net_hdr" or "eth_dev".
	Mode string `json:"mode"`
	// In and Out name the channels as they were configured; "" and absent: the
	// interface has no such direction.
	In  string `json:"in,omitempty"`
	Out string `json:"out,omitempty"`
	// MTU in bytes, as the kernel has it now.
	MTU int `json:"mtu"`
	// Up tells whether the interface is administratively up.
	Up bool `json:"up"`
	// Carrier says what the carrier follows: "admin" or "peer".
	Carrier string `json:"carrier"`
	// MAC is the Ethernet address, six hexadecimal bytes with colons; absent
	// unless Mode is "eth_dev".
	MAC string `json:"mac,omitempty"`
	// Poll is the longest sleep between two looks at a channel whose writer rings
	// no doorbell, in milliseconds.
	Poll int `json:"poll"`
	// Renew is how long a peer may be silent before it is given a new epoch, in
	// seconds; 0: for ever.
	Renew int `json:"renew"`
	// Adopted: the device was taken over from a process that ended without a
	// clean stop.
	Adopted bool `json:"adopted"`
	// Stale is set when the interface does not answer. It says of what time the
	// rest is; Name, Index and NetNS are always current.
	Stale string `json:"stale,omitempty"`
	// Offload is the state of segmentation offload: "off", or the active ones of
	// "tso" (the kernel leaves cutting TCP to muennet), "uso" (the same for UDP)
	// and "gro" (it takes packets that muennet merged), in this order, separated
	// by a blank.
	Offload string `json:"offload"`
	// Merged counts received packets that were handed to the kernel together with
	// others.
	Merged uint64 `json:"merged"`
	// Oversize counts received packets longer than the interface's MTU lets it
	// send. They are delivered like any other.
	Oversize uint64 `json:"rx_oversize"`
	// PMTU names the region with the path MTU of each mark, as it was configured;
	// absent: none.
	PMTU string `json:"pmtu,omitempty"`
	// PMTUFile says that the file of that region was removed or replaced. The old
	// one is used until the next load. Absent: neither.
	PMTUFile string `json:"pmtu_file,omitempty"`
	// Marks says how Netfilter marks are carried; nil and absent unless Mode is
	// "net_hdr".
	Marks *Marking `json:"marks,omitempty"`
	// Children in the order in which they were added; absent: none.
	Children []Child `json:"children,omitempty"`
	// Writer is the state of the out-channel; nil and absent without Out.
	Writer *Writer `json:"writer,omitempty"`
	// Reader is the state of the in-channel; nil and absent without In.
	Reader *Reader `json:"reader,omitempty"`
	// Stats are the packet counters of the interface, without its children's.
	Stats Stats `json:"stats"`
	// Drops counts packets and elements that were not passed on, by reason:
	// "rx_" or "tx_" and a word. Reasons that never happened are absent; new
	// reasons may appear.
	Drops map[string]uint64 `json:"drops"`
}

// Child is the state of an interface that shares the channels of its parent.
// Counters count as those of Interface.
type Child struct {
	// Name as the kernel knows it, 1 to 15 bytes.
	Name string `json:"name"`
	// Index is the interface index, 1 or more, unique within the namespace.
	Index int `json:"ifindex"`
	// NetNS is the inode number of the network namespace it is in.
	NetNS uint64 `json:"netns"`
	// MTU in bytes, as the kernel has it now.
	MTU int `json:"mtu"`
	// Up tells whether the interface is administratively up.
	Up bool `json:"up"`
	// Held are the marks whose packets the child receives, each 1 to 2^32-1, in
	// ascending order; nil (null in JSON) or empty: none.
	Held []uint32 `json:"held"`
	// Marks says how Netfilter marks are carried; never nil in a live child.
	Marks *Marking `json:"marks"`
	// Adopted as in Interface.
	Adopted bool `json:"adopted"`
	// Offload, Merged and Oversize as in Interface.
	Offload  string `json:"offload"`
	Merged   uint64 `json:"merged"`
	Oversize uint64 `json:"rx_oversize"`
	// Stats are the packet counters of the child. Those of the channel, RxErrors,
	// RxOverErrors and RxFrameErrors, are its parent's and 0 here.
	Stats Stats `json:"stats"`
	// Drops as in Interface.
	Drops map[string]uint64 `json:"drops"`
}

// Marking is how the Netfilter marks of one device are carried.
type Marking struct {
	// Outgoing is the state from packets to elements: "active", or why not.
	Outgoing string `json:"outgoing"`
	// Incoming is the state from elements to packets: "active" with how in
	// parentheses ("tcx", "clsact", "on demand"), or why not.
	Incoming string `json:"incoming"`
	// Queues the device has, 1 or more: one more than the marks that fit at a
	// time.
	Queues int `json:"queues"`
	// Overflows counts packets dropped because all queues were busy with other
	// marks.
	Overflows uint64 `json:"overflows"`
	// Mismatches counts packets dropped because their mark changed, or lost its
	// queue, on the way through a qdisc.
	Mismatches uint64 `json:"mismatches"`
	// Unmarked counts packets received without the mark they came with.
	Unmarked uint64 `json:"unmarked"`
}

// Stats are the packet counters of an interface, with the kernel module's
// meaning.
type Stats struct {
	// Packets handed to the kernel, and taken from it.
	RxPackets uint64 `json:"rx_packets"`
	TxPackets uint64 `json:"tx_packets"`
	// Their bytes. With "net_hdr" TxBytes includes the 8-byte header of each
	// element.
	RxBytes uint64 `json:"rx_bytes"`
	TxBytes uint64 `json:"tx_bytes"`
	// RxErrors is RxOverErrors + RxFrameErrors.
	RxErrors uint64 `json:"rx_errors"`
	// Packets received that the kernel did not take, and packets to send that no
	// element took. Interface.Drops has the reasons.
	RxDropped uint64 `json:"rx_dropped"`
	TxDropped uint64 `json:"tx_dropped"`
	// RxOverErrors counts overruns of the in-channel, as Reader.Overruns does.
	RxOverErrors uint64 `json:"rx_over_errors"`
	// RxFrameErrors counts elements whose content was not a packet.
	RxFrameErrors uint64 `json:"rx_frame_errors"`
}
