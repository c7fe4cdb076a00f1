package config

import (
	"math"
	"net"
	"strconv"
	"time"

	"github.com/muennet/muennet/element"
)

// Carrier says what the carrier of an interface (the LOWER_UP flag: "is the
// cable plugged in") follows.
type Carrier uint8

const (
	// CarrierAdmin: the carrier follows up and down, as in the kernel
	// module.
	CarrierAdmin Carrier = iota
	// CarrierPeer: the carrier is on while the writer of the in-channel is
	// active.
	CarrierPeer
)

// String returns the value of the carrier parameter: "admin" or "peer".
func (c Carrier) String() string {
	switch c {
	case CarrierAdmin:
		return "admin"
	case CarrierPeer:
		return "peer"
	}
	return "carrier(" + strconv.Itoa(int(c)) + ")"
}

// Defaults, which the zero values of the fields select.
const (
	// DefaultMTU is in bytes.
	DefaultMTU  = 1500
	DefaultPoll = time.Millisecond
	// DefaultBusyPoll only applies with more than one processor and a
	// GOMAXPROCS of at least 4.
	DefaultBusyPoll = 200 * time.Microsecond
	// DefaultRenew applies to Ethernet interfaces whose WriterProtocol is
	// SoloProtocol: the readers of those peers never recover from an
	// overrun.
	DefaultRenew = 2 * time.Second
)

// Values for what 0, the default, cannot express.
const (
	PollFastest time.Duration = -1                    // look every ShortestPoll
	BusyPollOff time.Duration = -1 * time.Microsecond // sleep immediately
	RenewOff    time.Duration = -1                    // never renew the epoch
)

// ShortestPoll is the longest sleep under PollFastest. The kernel module's
// poll=0 looks as often as possible; this does without occupying a processor.
const ShortestPoll = 50 * time.Microsecond

// LongPoll is the longest Poll without a warning to the administrator. Packets
// wait that long, and the kernel module's description wrongly says
// microseconds.
const LongPoll = 100 * time.Millisecond

// Ranges of durations other than 0 and the values above. MaxPoll is the largest
// value of the kernel module's parameter, a 32-bit number of milliseconds.
const (
	MinPoll, MaxPoll         = time.Millisecond, math.MaxUint32 * time.Millisecond
	MinBusyPoll, MaxBusyPoll = time.Microsecond, time.Second
	MinRenew, MaxRenew       = time.Second, time.Hour
)

// SoloProtocol is the protocol id of Ethernet channels of Solo5/MirageOS. Those
// peers do not check element size and frame length, so without Force only an
// MTU of 1500 is allowed for this id.
const SoloProtocol uint64 = 0x7ade5c549b08e814

// Interface is the configuration of an interface. muennet.Interface has the
// same fields and documents them.
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

// Load is a set of interfaces that are created together or not at all.
// muennet.Load has the same fields and documents them.
type Load struct {
	Interfaces []Interface
	Channels   string
	Create     int64
	Poll       time.Duration
	BusyPoll   time.Duration
}

// MinCreate is the least Create: a header and one byte.
const MinCreate = 65

// PollAfter returns the effective value of Poll.
func (l Load) PollAfter() time.Duration {
	switch l.Poll {
	case 0:
		return DefaultPoll
	case PollFastest:
		return ShortestPoll
	}
	return l.Poll
}

// RenewAfter returns the effective value of Renew; 0 is off.
func (i Interface) RenewAfter() time.Duration {
	switch {
	case i.Renew != 0:
		return max(0, i.Renew)
	case i.In != "" && i.Out != "" && i.Format == element.EthDev && i.WriterProtocol == SoloProtocol:
		return DefaultRenew
	}
	return 0
}
