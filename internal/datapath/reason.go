package datapath

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Reason is why a packet was dropped, unless the element format is: that has
// reasons of its own (element.Fault).
type Reason uint8

const (
	// NoChannel: the interface has no out-channel.
	NoChannel Reason = iota
	// Inactive: the writer is not running.
	Inactive
	// DeviceDown: the interface was down when the packet came.
	DeviceDown
	// DeviceRefused: the kernel did not take the packet.
	DeviceRefused
	// ExceedsPMTU: the packet is longer than the path of its mark allows, and must
	// not be fragmented.
	ExceedsPMTU
	// BadOffload: the packet cannot be cut, or its checksum not completed, as its
	// virtio_net_hdr says.
	BadOffload
	// NumReasons is the number of reasons.
	NumReasons = iota
)

var reasonNames = [NumReasons]string{"no_channel", "inactive", "device_down", "device_refused", "exceeds_pmtu", "bad_offload"}

// String returns one lower-case word, fit for the key of a counter.
func (r Reason) String() string { return reasonNames[r] }

// refusal classifies an error of Device.Write.
func refusal(err error) Reason {
	if errors.Is(err, unix.EIO) { // tun_get_user: the interface is not up
		return DeviceDown
	}
	return DeviceRefused
}
