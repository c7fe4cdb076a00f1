package muennet

import (
	"errors"
	"net"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
)

// Carrier says what an interface's carrier follows: the LOWER_UP flag, "is the
// cable plugged in". Its String is "admin" or "peer".
type Carrier = config.Carrier

const (
	// CarrierAdmin: the carrier follows up and down, as in the kernel module.
	CarrierAdmin = config.CarrierAdmin
	// CarrierPeer: the interface has a carrier while the writer of its in
	// channel is active.
	CarrierPeer = config.CarrierPeer
)

// Values that switch off what 0 leaves at its default.
const (
	RenewOff    time.Duration = config.RenewOff    // Interface.Renew: never renew the epoch
	BusyPollOff time.Duration = config.BusyPollOff // Load.BusyPoll: sleep at once
)

// SoloProtocol is the protocol id of Solo5/MirageOS Ethernet channels.
const SoloProtocol uint64 = config.SoloProtocol

// Interface is the configuration of one interface. Name and at least one of In
// and Out are required; the zero value of any other field is its default.
type Interface struct {
	// Name of the interface: 1 to 15 bytes, without '/', ':', white space or
	// control characters. The kernel replaces one %d by the first free number.
	Name string
	// Format of the elements: element.Raw (default), element.NetHdr or
	// element.EthDev.
	Format element.Format
	// In is the channel to read, Out the channel to write; empty means that
	// the direction is absent. A channel is a NAME in the channel directory, an
	// /absolute/path, or pci:[DOMAIN:]BUS:DEV.FN for the memory of an ivshmem
	// device; @OFFSET+LENGTH in bytes, with an optional K, M or G, selects a
	// part of it. In and Out must not overlap.
	In, Out string
	// ReaderProtocol is the protocol id of In, 1 to 2^64-1. It must be that of
	// the peer, and does not matter without In.
	ReaderProtocol uint64
	// WriterProtocol is the protocol id of Out, 1 to 2^64-1. It does not matter
	// without Out.
	WriterProtocol uint64
	// MTU at creation, in bytes: 1 to 65535 for element.Raw, 68 to 65535 for
	// element.NetHdr, 68 to 65521 for element.EthDev. 0 means 1500, and is what
	// Ethernet peers of SoloProtocol need without Force. An administrator may
	// change the interface's MTU later.
	MTU int
	// PMTU names the region with the path MTU of each mark, in the forms of In;
	// element.NetHdr only. It must not overlap Out. Empty means none.
	PMTU string
	// HardwareAddr is the address of an element.EthDev interface: 6 bytes, not
	// all zero, the first one even. nil means one derived from the machine and
	// the channel names, the same after each start.
	HardwareAddr net.HardwareAddr
	// Carrier is CarrierAdmin (default) or CarrierPeer, which needs In.
	Carrier Carrier
	// NoOffload switches segmentation offload off.
	NoOffload bool
	// Renew is how long the peer may be silent, while more than a ring is
	// written to it, before a new epoch is begun on Out, in case its reader is
	// stuck: whole seconds from 1 s to 1 h, or RenewOff. It needs In and Out. 0
	// means 2 s for Ethernet interfaces with In, Out and a WriterProtocol of
	// SoloProtocol, and RenewOff for all others.
	Renew time.Duration
	// Force allows what is refused for known fragile peers, and an Out whose
	// file is neither a channel nor all zeros, which the writer overwrites.
	Force bool
}

// Load is a set of interfaces that come into being together or not at all.
type Load struct {
	// Interfaces in the order in which Status reports them. No two may have the
	// same Name, unless with a %d, or Out channels that overlap.
	Interfaces []Interface
	// Channels is the directory of channels given by name. Empty means the one
	// the Net was opened with, and for Open the system's: /muenfs where a
	// muenfs is mounted there, else /dev/shm/muennet.
	Channels string
	// Poll is the longest sleep between looks at a channel whose writer rings no
	// doorbell: whole milliseconds from 1 ms to 1 min. 0 means 1 ms.
	Poll time.Duration
	// BusyPoll is how long at most to keep looking for the next packet before
	// sleeping, where packets come one at a time with no longer pauses: whole
	// microseconds from 1 µs to 1 s, or BusyPollOff. 0 means 50 µs, or
	// BusyPollOff on one processor or with a GOMAXPROCS below 4.
	BusyPoll time.Duration
}

// Validate returns a *FieldError for the first rule that l breaks, nil when it
// keeps them all. Open and Net.Load do the same; ParseLoad holds the same rules
// and words its errors in parameters. Whether channels
// exist and names are free turns out when the interfaces are made.
func (l Load) Validate() error { return public(l.internal().Validate()) }

// internal returns l as the packages below take it.
func (l Load) internal() config.Load {
	c := config.Load{Channels: l.Channels, Poll: l.Poll, BusyPoll: l.BusyPoll}
	for _, i := range l.Interfaces {
		c.Interfaces = append(c.Interfaces, config.Interface(i))
	}
	return c
}

// loadOf is the reverse of internal.
func loadOf(c config.Load) Load {
	l := Load{Channels: c.Channels, Poll: c.Poll, BusyPoll: c.BusyPoll}
	for _, i := range c.Interfaces {
		l.Interfaces = append(l.Interfaces, Interface(i))
	}
	return l
}

// FieldError says which field of a Load breaks a rule.
type FieldError struct {
	// Index is the position in Load.Interfaces of the interface that is wrong;
	// -1 when a field of the Load itself is.
	Index int
	// Interface is the name of that interface.
	Interface string
	// Field is the name of the field, such as "MTU".
	Field string
	// Value is what the field holds, in the field's type.
	Value any
	// Allowed says what is wrong with the value and what is allowed, such as
	// "want 68 to 65535 for net_hdr".
	Allowed string
}

// Error returns one sentence, such as "interface net0: MTU 5: want 68 to 65535
// for net_hdr".
func (e *FieldError) Error() string { return (*config.Error)(e).Error() }

// public turns an error that is a broken rule into a *FieldError.
func public(err error) error {
	var rule *config.Error
	if errors.As(err, &rule) {
		return (*FieldError)(rule)
	}
	return err
}
