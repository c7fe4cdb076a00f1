package muennet

import (
	"errors"
	"net"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
)

// Carrier says what the carrier of an interface (the LOWER_UP flag: "is the
// cable plugged in") follows. Its String is "admin" or "peer".
type Carrier = config.Carrier

const (
	// CarrierAdmin: the carrier follows up and down, as in the kernel
	// module.
	CarrierAdmin = config.CarrierAdmin
	// CarrierPeer: the carrier is on while the writer of the in channel is
	// active.
	CarrierPeer = config.CarrierPeer
)

// Values for what 0, the default, cannot express.
const (
	PollFastest time.Duration = config.PollFastest // Load.Poll: as often as possible, every 50 µs
	RenewOff    time.Duration = config.RenewOff    // Interface.Renew: never renew the epoch
	BusyPollOff time.Duration = config.BusyPollOff // Load.BusyPoll: sleep immediately
)

// SoloProtocol is the protocol id of Solo5/MirageOS Ethernet channels.
const SoloProtocol uint64 = config.SoloProtocol

// Interface is the configuration of an interface. Name and at least one of In
// and Out are required; the zero values of all other fields select their
// defaults.
type Interface struct {
	// Name is the name of the interface: 1 to 15 bytes without '/', ':',
	// white space and control characters. The kernel replaces one %d by the
	// first free number.
	Name string
	// Format is the format of the elements: element.Raw (default),
	// element.NetHdr or element.EthDev.
	Format element.Format
	// In is the channel to read, Out the channel to write; empty means that
	// the interface does not have this direction. A channel is a NAME in
	// the channel directory, an /absolute/path, or pci:[DOMAIN:]BUS:DEV.FN
	// for the memory of an ivshmem device. @OFFSET+LENGTH in bytes, with an
	// optional K, M or G, selects a part of it. In and Out must not
	// overlap.
	In, Out string
	// ReaderProtocol is the protocol id of In, 1 to 2^64-1. It must be that
	// of the peer. It does not matter without In.
	ReaderProtocol uint64
	// WriterProtocol is the protocol id of Out, 1 to 2^64-1. It does not
	// matter without Out.
	WriterProtocol uint64
	// MTU is the initial MTU in bytes: 1 to 65535 for element.Raw, 68 to
	// 65535 for element.NetHdr, 68 to 65521 for element.EthDev. 0 means
	// 1500, which Ethernet peers with SoloProtocol require unless Force is
	// set. An administrator may change the MTU later.
	MTU int
	// PMTU is the region with the path MTU of each mark, in the notation of
	// In, only for element.NetHdr. It must not overlap Out. Empty means
	// none.
	PMTU string
	// HardwareAddr is the address of an element.EthDev interface: 6 bytes,
	// not all zero, the first one even. nil means an address derived from
	// the machine and the channel names, which is the same after every
	// start.
	HardwareAddr net.HardwareAddr
	// Carrier is CarrierAdmin (default) or CarrierPeer, which needs In.
	Carrier Carrier
	// NoOffload disables segmentation offload.
	NoOffload bool
	// Renew is how long the peer may be silent, while more than a ring is
	// written to it, before a new epoch is started on Out, in case its
	// reader is stuck: whole seconds from 1 s to 1 h, or RenewOff. It needs
	// In and Out. 0 means 2 s for Ethernet interfaces with In, Out and a
	// WriterProtocol of SoloProtocol, and RenewOff for all others.
	Renew time.Duration
	// Force allows what is refused for known fragile peers, and an Out
	// whose file is neither a channel nor all zeros, which the writer
	// overwrites.
	Force bool
}

// Load is a set of interfaces that are created together or not at all.
type Load struct {
	// Interfaces are in the order of Status. No two may have the same Name,
	// except with a %d, or overlapping Out channels.
	Interfaces []Interface
	// Channels is the directory of channels given by name. Empty means the
	// one the Net was opened with, and for Open that of the system: /muenfs
	// if a muenfs is mounted there, otherwise /dev/shm/muennet.
	Channels string
	// Create is the size in bytes, 65 or more, of the files to create, with
	// mode 0600, for channels of In and Out that are names without a file in
	// the channel directory. The directory is created, too. Existing files
	// are used as they are, whatever their size. Files that were created
	// remain when the interface goes, or the load fails. 0 means that a
	// missing channel is an error.
	Create int64
	// Poll is the longest sleep between looks at a channel whose writer
	// rings no doorbell: whole milliseconds from 1 ms to 2^32-1 ms, or
	// PollFastest. 0 means 1 ms. More than 100 ms is logged as a warning.
	Poll time.Duration
	// BusyPoll is the longest time to poll for the next packet before
	// sleeping, when packets come singly and no further apart than that; it
	// adapts to their pauses below that:
	// whole microseconds from 1 µs to 1 s, or BusyPollOff. 0 means 200
	// µs, or BusyPollOff on one processor or with a GOMAXPROCS below 4.
	BusyPoll time.Duration
}

// Validate returns a *FieldError for the first rule that l breaks, nil if it
// breaks none. Open and Net.Load check the same. ParseLoad does too, with
// errors in terms of parameters. Whether channels exist and names are free is
// only known when the interfaces are created.
func (l Load) Validate() error { return public(l.internal().Validate()) }

// internal converts l for the packages below.
func (l Load) internal() config.Load {
	c := config.Load{Channels: l.Channels, Create: l.Create, Poll: l.Poll, BusyPoll: l.BusyPoll}
	for _, i := range l.Interfaces {
		c.Interfaces = append(c.Interfaces, config.Interface(i))
	}
	return c
}

// loadOf is the inverse of internal.
func loadOf(c config.Load) Load {
	l := Load{Channels: c.Channels, Create: c.Create, Poll: c.Poll, BusyPoll: c.BusyPoll}
	for _, i := range c.Interfaces {
		l.Interfaces = append(l.Interfaces, Interface(i))
	}
	return l
}

// FieldError says which field of a Load breaks a rule.
type FieldError struct {
	// Index is the position of the interface in Load.Interfaces, -1 if the
	// field belongs to the Load itself.
	Index int
	// Interface is the name of that interface.
	Interface string
	// Field is the name of the field, such as "MTU".
	Field string
	// Value is what the field holds, in the type of the field.
	Value any
	// Allowed says what is wrong and what is allowed, such as "want 68 to
	// 65535 for net_hdr".
	Allowed string
}

// Error returns the error as text, such as "interface net0: MTU 5: want 68 to
// 65535 for net_hdr".
func (e *FieldError) Error() string { return (*config.Error)(e).Error() }

// public converts an error about a broken rule into a *FieldError.
func public(err error) error {
	var loaded *config.LoadedError
	if errors.As(err, &loaded) {
		return loadedError(loaded)
	}
	var rule *config.Error
	if errors.As(err, &rule) {
		return (*FieldError)(rule)
	}
	return err
}
