package api

// Channel is the state of one end of a channel.
type Channel struct {
	// Region is the path of the file.
	Region string `json:"region"`
	// RegionSize is in bytes; 0: it is too small and not mapped.
	RegionSize int `json:"region_size"`
	// Memory is the kind of memory: "file", "muenfs" or "pci"; "": not
	// mapped.
	Memory string `json:"memory"`
	// Owner is the user who owns the region's file: the name, or the number
	// if the user has no name; "": not mapped.
	Owner string `json:"owner"`
	// Enabled: the interface is up and the region usable.
	Enabled bool `json:"enabled"`
	// Error says why the region is not usable; absent: it is usable.
	Error string `json:"error,omitempty"`
	// File says that the region's file was removed, or was replaced by one
	// that cannot be used and why. The region remains in use. Absent:
	// neither.
	File string `json:"file,omitempty"`
	// Replaced counts the files taken over under the same name.
	Replaced uint64 `json:"replaced"`
	// Protocol is the protocol id: hexadecimal with 0x, not 0x0.
	Protocol string `json:"protocol"`
	// Epoch is the current epoch: hexadecimal with 0x; 0x0: inactive.
	Epoch string `json:"epoch"`
	// ElementSize is in bytes, 0 to 1048576; 0: the channel is inactive.
	ElementSize int `json:"element_size"`
	// Elements is the number of elements in the ring; 0: the channel is
	// inactive.
	Elements int `json:"elements"`
	// Doorbell is how the reader is woken: "futex" or "muenfs events";
	// "polling": it is not woken.
	Doorbell string `json:"doorbell"`
	// DoorbellError says why there is no bell, or why the writer's last
	// ring failed; absent: neither.
	DoorbellError string `json:"doorbell_error,omitempty"`
	// Mapping describes how the memory of a PCI device is accessed and how
	// fast it was to read when the interface was loaded, for display:
	// "cached, reads 5200 MB/s". Absent for other memory.
	Mapping string `json:"mapping,omitempty"`
}

// Writer is the state of the out-channel. In JSON the keys of Channel are on
// the same level as its own.
type Writer struct {
	Channel
	// Written counts elements since the start of the epoch.
	Written uint64 `json:"written"`
	// Rings counts doorbells rung, RingErrors failed attempts.
	Rings      uint64 `json:"rings"`
	RingErrors uint64 `json:"ring_errors"`
	// Waits counts pauses for readers that poll.
	Waits uint64 `json:"waits"`
	// Renewals counts epochs started because the peer's reader seemed to be
	// stuck.
	Renewals uint64 `json:"renewals"`
}

// Reader is the state of the in-channel. In JSON the keys of Channel are on the
// same level as its own.
type Reader struct {
	Channel
	// Peer is the state of the writer at the other end: "inactive",
	// "active" or "incompatible".
	Peer string `json:"peer"`
	// Reason says why the peer is incompatible, or that an inactive region
	// is not a channel; absent: neither.
	Reason string `json:"reason,omitempty"`
	// SeenElementSize is the ElementSize of the last epoch followed, in bytes,
	// also when it has ended; 0: no compatible writer was seen yet.
	SeenElementSize int `json:"seen_element_size"`
	// Epochs counts epochs followed.
	Epochs uint64 `json:"epochs"`
	// Overruns counts how often the writer overtook the reader, Lost the
	// elements lost by that.
	Overruns uint64 `json:"overruns"`
	Lost     uint64 `json:"lost"`
	// ProtocolErrors counts how often the counters were inconsistent.
	ProtocolErrors uint64 `json:"protocol_errors"`
	// Wakeups counts doorbells received, Timeouts sleeps that ended without
	// one.
	Wakeups  uint64 `json:"wakeups"`
	Timeouts uint64 `json:"timeouts"`
}
