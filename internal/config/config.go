package config

import (
	"net"
	"strconv"
	"time"

	"github.com/muennet/muennet/element"
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

// String gives the value as the carrier parameter spells it: "admin" or "peer".
func (c Carrier) String() string {
	switch c {
	case CarrierAdmin:
		return "admin"
	case CarrierPeer:
		return "peer"
	}
	return "carrier(" + strconv.Itoa(int(c)) + ")"
}

// Defaults: what the zero value of a field stands for.
const (
	// DefaultMTU is in bytes.
	DefaultMTU  = 1500
	DefaultPoll = time.Millisecond
	// DefaultBusyPoll counts where there is more than one processor and
	// GOMAXPROCS is 4 or more.
	DefaultBusyPoll = 50 * time.Microsecond
	// DefaultRenew is for Ethernet interfaces whose WriterProtocol is
	// SoloProtocol: the readers of those peers never recover from an overrun.
	DefaultRenew = 2 * time.Second
)

// Values that switch off what 0 leaves at its default.
const (
	BusyPollOff time.Duration = -1 * time.Microsecond // sleep at once
	RenewOff    time.Duration = -1                    // keep an epoch whatever the peer does
)

// Ranges of the durations that are neither 0 nor off.
const (
	MinPoll, MaxPoll         = time.Millisecond, time.Minute
	MinBusyPoll, MaxBusyPoll = time.Microsecond, time.Second
	MinRenew, MaxRenew       = time.Second, time.Hour
)

// SoloProtocol is the protocol id of Solo5/MirageOS Ethernet channels. Those
// peers copy element size and frame length unchecked, so for this id nothing
// but an MTU of 1500 is offered to them.
const SoloProtocol uint64 = 0x7ade5c549b08e814

// Interface is what one interface is to be. muennet.Interface has the same
// fields and documents them.
type Interface struct {
	Name           string
	Format         element.Format
	In, Out        string
	ReaderProtocol uint64
	WriterProtocol uint64
	MTU            int
	PMTU           string
	HardwareAddr   net.HardwareAddr
	Carrier        Carrier
	NoOffload      bool
	Renew          time.Duration
	Force          bool
}

// Load is a set of interfaces that come into being together or not at all.
// muennet.Load has the same fields and documents them.
type Load struct {
	Interfaces []Interface
	Channels   string
	Poll       time.Duration
	BusyPoll   time.Duration
}

// RenewAfter returns what Renew stands for: 0 is off.
func (i Interface) RenewAfter() time.Duration {
	switch {
	case i.Renew != 0:
		return max(0, i.Renew)
	case i.In != "" && i.Out != "" && i.Format == element.EthDev && i.WriterProtocol == SoloProtocol:
		return DefaultRenew
	}
	return 0
}
