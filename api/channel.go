package api

// Channel is the state of one end of a channel.
type Channel struct {
	// Region is the path of the file.
	Region string `json:"region"`
	// RegionSize in bytes; 0: it is not mapped, as it is too small.
	RegionSize int `json:"region_size"`
	// Memory says what the region is made of: "file", "muenfs" or "pci"; "": it is
	// not mapped.
	Memory string `json:"memory"`
	// Owner is the user that the region's file belongs to: the name, or the number
	// where the user has none; "": it is not mapped.
	Owner string `json:"owner"`
	// Enabled: the interface is up and the region usable.
	Enabled bool `json:"enabled"`
	// Error is why the region is not usable; absent: it is.
	Error string `json:"error,omitempty"`
	// File says that the region's file was removed, or replaced by one that cannot
	// be used, and why not. The region is used all the same. Absent: neither.
	File string `json:"file,omitempty"`
	// Replaced counts files that were taken over under the same name.
	Replaced uint64 `json:"replaced"`
	// Protocol is the protocol id: hexadecimal with 0x, not 0x0.
	Protocol string `json:"protocol"`
	// Epoch of the channel now: hexadecimal with 0x; 0x0: inactive.
	Epoch string `json:"epoch"`
	// ElementSize in bytes, 0 to 1048576; 0: the channel is inactive.
	ElementSize int `json:"element_size"`
	// Elements is the length of the ring; 0: the channel is inactive.
	Elements int `json:"elements"`
	// Doorbell is how the reader is woken: "futex", "muenfs events", or "polling":
	// not at all.
	Doorbell string `json:"doorbell"`
	// DoorbellError is why there is no bell, or why the writer's last ring failed;
	// absent: neither.
	DoorbellError string `json:"doorbell_error,omitempty"`
	// Mapping is how the memory of a PCI device is accessed, and how fast it was
	// read when the interface was loaded, for people: "cached, reads 5200 MB/s".
	// Absent for other memory.
	Mapping string `json:"mapping,omitempty"`
}

// Writer is the state of the out-channel. In JSON the keys of Channel stand
// beside its own.
type Writer struct {
	Channel
	// Written counts elements since the epoch began.
	Written uint64 `json:"written"`
	// Rings counts doorbells rung, RingErrors those that could not be rung.
	Rings      uint64 `json:"rings"`
	RingErrors uint64 `json:"ring_errors"`
	// Waits counts pauses for readers that have to look for themselves.
	Waits uint64 `json:"waits"`
	// Renewals counts epochs begun because the peer's reader seemed to be stuck.
	Renewals uint64 `json:"renewals"`
}

// Reader is the state of the in-channel. In JSON the keys of Channel stand
// beside its own.
type Reader struct {
	Channel
	// Peer is the state of the writer at the other end: "inactive", "active" or
	// "incompatible".
	Peer string `json:"peer"`
	// Reason is why the peer is incompatible, or that what is inactive holds
	// something other than a channel; absent: neither.
	Reason string `json:"reason,omitempty"`
	// Epochs counts epochs followed.
	Epochs uint64 `json:"epochs"`
	// Overruns counts the times the writer was a ring ahead, Lost the elements
	// lost by that.
	Overruns uint64 `json:"overruns"`
	Lost     uint64 `json:"lost"`
	// ProtocolErrors counts looks at counters that contradict each other.
	ProtocolErrors uint64 `json:"protocol_errors"`
	// Wakeups counts doorbells heard, Timeouts looks without one.
	Wakeups  uint64 `json:"wakeups"`
	Timeouts uint64 `json:"timeouts"`
}
