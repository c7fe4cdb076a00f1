package driver

import (
	"fmt"
	"net"
	"runtime"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/doorbell"
)

// Carrier says what an interface's carrier (the LOWER_UP flag, "is the cable
// plugged in") follows.
type Carrier uint8

const (
	// CarrierAdmin: carrier follows up and down, as in the kernel module.
	CarrierAdmin Carrier = iota
	// CarrierPeer: carrier while the writer of the in-channel is active.
	CarrierPeer
)

// String gives the value as the carrier= parameter spells it.
func (c Carrier) String() string {
	if c == CarrierPeer {
		return "peer"
	}
	return "admin"
}

// DefaultMTU is the MTU in bytes of an interface that states none.
const DefaultMTU = 1500

// DefaultPoll is the longest sleep between two looks at a channel whose writer
// rings no doorbell.
const DefaultPoll = time.Millisecond

// DefaultBusyPoll is for how long at most an interface keeps looking for the next
// packet, where there is more than one processor and GOMAXPROCS is 4 or more.
const DefaultBusyPoll = 50 * time.Microsecond

// BusyPollOff is the BusyPoll that has an interface sleep at once.
const BusyPollOff = -1 * time.Microsecond

// SoloProtocol is the protocol id of Solo5/MirageOS Ethernet channels. Those
// peers copy element size and frame length unchecked, so for this id nothing
// but an MTU of 1500 is offered to them.
const SoloProtocol uint64 = 0x7ade5c549b08e814

// DefaultRenew is the Renew of Ethernet interfaces whose WriterProtocol is
// SoloProtocol: the readers of those peers never recover from an overrun.
const DefaultRenew = 2 * time.Second

// RenewOff is the Renew that keeps an epoch whatever the peer does.
const RenewOff time.Duration = -1

// Interface is what one interface is to be. The zero value of a field is its
// documented default; Name and at least one of In and Out are needed.
type Interface struct {
	// Name of the interface: 1 to 15 bytes; one %d in it is replaced by the
	// first free number.
	Name string
	// Format of the elements: element.Raw, element.NetHdr or element.EthDev.
	Format element.Format
	// In names the channel that is read, Out the one that is written; empty
	// means that the direction is absent. Forms: a NAME in the channel
	// directory, an /absolute/path, either followed by @OFFSET+LENGTH.
	In, Out string
	// ReaderProtocol and WriterProtocol are the protocol ids of In and Out:
	// non-zero for a direction that exists.
	ReaderProtocol, WriterProtocol uint64
	// MTU in bytes at creation; 0 means DefaultMTU. Later the interface's own
	// MTU counts.
	MTU int
	// PMTU names the region with the path MTU of each mark (net_hdr only).
	PMTU string
	// HardwareAddr of an eth_dev interface; nil means one derived from the
	// machine and the channel names, the same after each start.
	HardwareAddr net.HardwareAddr
	// Carrier says what the carrier follows.
	Carrier Carrier
	// NoOffload switches segmentation offload off.
	NoOffload bool
	// Renew is how long the peer may be silent, while more than a ring is written
	// to it, before a new epoch is begun on Out, in case its reader is stuck: whole
	// seconds, or RenewOff. It needs In and Out. 0 means DefaultRenew for
	// SoloProtocol, and otherwise RenewOff.
	Renew time.Duration
	// Force allows what is refused for known fragile peers, and an Out whose file
	// is neither a channel nor all zeros, which the writer overwrites.
	Force bool
}

// Config is one load: interfaces that come into being together or not at all.
type Config struct {
	// Interfaces in the order of the name= list.
	Interfaces []Interface
	// Channels is the directory of channels given by name; empty means the
	// directory the driver was opened with.
	Channels string
	// Poll is the longest sleep between looks at a channel whose writer rings
	// no doorbell; 0 means DefaultPoll.
	Poll time.Duration
	// BusyPoll is for how long at most to keep looking after a packet before
	// sleeping, where packets come one at a time with no longer pauses; or
	// BusyPollOff. 0 means DefaultBusyPoll, or nothing where a processor, or a place
	// among the GOMAXPROCS ones, cannot be spared.
	BusyPoll time.Duration
}

// busyPoll is what BusyPoll stands for: 0 = off.
func (c Config) busyPoll() time.Duration {
	switch {
	case c.BusyPoll != 0:
		return max(0, c.BusyPoll)
	case runtime.NumCPU() > 1 && !doorbell.Crowded():
		return DefaultBusyPoll
	}
	return 0
}

// complete puts the defaults in that stay, and refuses what cannot be.
func (i *Interface) complete() error {
	if i.MTU == 0 {
		i.MTU = DefaultMTU
	}
	if i.Renew > 0 && (i.In == "" || i.Out == "") {
		return fmt.Errorf("renew after %v: want an in and an out channel, to see that the peer is stuck", i.Renew)
	}
	return nil
}

// renewal is what Renew stands for: 0 = off.
func (i Interface) renewal() time.Duration {
	switch {
	case i.Renew != 0:
		return max(0, i.Renew)
	case i.In != "" && i.Out != "" && i.Format == element.EthDev && i.WriterProtocol == SoloProtocol:
		return DefaultRenew
	}
	return 0
}
