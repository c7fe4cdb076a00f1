package params

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/config"
	channels "github.com/muennet/muennet/internal/names"
)

// Parameter describes a parameter for users.
type Parameter struct {
	// Name is the NAME in NAME=VALUE.
	Name string
	// Type is the type as shown by modinfo: "uint", or "array of charp" for
	// a list of strings.
	Type string
	// Description is the meaning in one line.
	Description string
}

// definition is a row of the table. It has exactly one of the two setters:
// entry for a list, global for a parameter of the whole load. A setter gets a
// non-empty value and stores it; its error says how to write the value.
// [config.Load.Validate] checks the value itself.
type definition struct {
	Parameter
	field  string // of the configuration, as in config.Error
	entry  func(*config.Interface, string) error
	global func(*config.Load, string) error
}

const (
	list   = "array of charp"
	number = "uint"
	size   = "charp"
)

// table holds all parameters, in the order of modinfo.
var table = []definition{
	{Parameter{"name", list, "Interface names; one %d in a name is numbered by the kernel, an empty entry is skipped"}, "Name", setName, nil},
	{Parameter{"in", list, "Channels to read: NAME, /PATH or pci:BUS:DEV.FN, optionally @OFFSET+LENGTH; empty for none"}, "In", setIn, nil},
	{Parameter{"out", list, "Channels to write: NAME, /PATH or pci:BUS:DEV.FN, optionally @OFFSET+LENGTH; empty for none"}, "Out", setOut, nil},
	{Parameter{"reader_protocol", list, "Protocol ids of the in channels, hexadecimal, not 0"}, "ReaderProtocol", setReaderProtocol, nil},
	{Parameter{"writer_protocol", list, "Protocol ids of the out channels, hexadecimal, not 0"}, "WriterProtocol", setWriterProtocol, nil},
	{Parameter{"mtu", list, "MTUs in bytes, decimal (default 1500)"}, "MTU", setMTU, nil},
	{Parameter{"flags", list, "Element format: net_hdr for IP packets, eth_dev for Ethernet frames (default raw)"}, "Format", setFlags, nil},
	{Parameter{"pmtu", list, "Regions with the path MTU of each mark, net_hdr only (default none)"}, "PMTU", setPMTU, nil},
	{Parameter{"poll", number, "Longest sleep in ms between looks at a channel without wake-ups; 0 for as short as possible (default 1)"}, "Poll", nil, setPoll},
	{Parameter{"mac", list, "Ethernet addresses, eth_dev only (default derived from machine and channels)"}, "HardwareAddr", setMAC, nil},
	{Parameter{"carrier", list, "What the carrier follows: admin (up and down) or peer (its writer is active) (default admin)"}, "Carrier", setCarrier, nil},
	{Parameter{"offload", list, "Segmentation offload: on or off (default on)"}, "NoOffload", setOffload, nil},
	{Parameter{"busy_poll", number, "Longest time in us to poll for the next packet before sleeping, when packets come singly; the time adapts below that (default 200, 0 on one processor)"}, "BusyPoll", nil, setBusyPoll},
	{Parameter{"renew", list, "Seconds without packets from a peer that sent some before, while more than a ring is sent to it, until a new epoch frees its reader; 0 for never (default 2 for eth_dev with writer_protocol 7ade5c549b08e814, otherwise 0)"}, "Renew", setRenew, nil},
	{Parameter{"create", size, "Size in bytes, with K, M or G, of the files created for missing in and out channels of the channel directory (default none is created)"}, "Create", nil, setCreate},
	{Parameter{"force", list, "1 allows what is refused for known fragile peers, and to overwrite an out that is not a channel (default 0)"}, "Force", setForce, nil},
}

// Parameters returns all parameters, in the order of modinfo.
func Parameters() []Parameter {
	all := make([]Parameter, len(table))
	for i, d := range table {
		all[i] = d.Parameter
	}
	return all
}

// find returns the definition of key, nil if there is none.
func find(key string) *definition {
	for i := range table {
		if table[i].Name == key {
			return &table[i]
		}
	}
	return nil
}

func setName(i *config.Interface, s string) error {
	i.Name = s
	return nil
}

func setIn(i *config.Interface, s string) error {
	i.In = s
	return nil
}

func setOut(i *config.Interface, s string) error {
	i.Out = s
	return nil
}

func setPMTU(i *config.Interface, s string) error {
	i.PMTU = s
	return nil
}

func setReaderProtocol(i *config.Interface, s string) (err error) {
	i.ReaderProtocol, err = parseProtocol(s)
	return err
}

func setWriterProtocol(i *config.Interface, s string) (err error) {
	i.WriterProtocol, err = parseProtocol(s)
	return err
}

// parseProtocol parses a hexadecimal u64. It accepts 0, which is harmless in
// the entry of an absent direction.
func parseProtocol(s string) (uint64, error) {
	digits := s
	if len(s) > 1 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		digits = s[2:]
	}
	id, err := strconv.ParseUint(digits, 16, 64)
	if err != nil {
		return 0, fmt.Errorf("want a hexadecimal number of at most 64 bits, with or without 0x")
	}
	return id, nil
}

// setMTU accepts the MTUs of all formats. The range of the format is checked
// once the flags are known.
func setMTU(i *config.Interface, s string) (err error) {
	lowest, highest := element.Raw.MTU()
	i.MTU, err = parseNumber(s, lowest, highest)
	return err
}

func setCreate(l *config.Load, s string) (err error) {
	l.Create, err = channels.ParseSize(s)
	return err
}

// setPoll takes what the kernel takes for a parameter of the type uint, and
// tells a 0 that was given from none.
func setPoll(l *config.Load, s string) error {
	n, err := parseUint(s)
	if l.Poll = time.Duration(n) * time.Millisecond; n == 0 {
		l.Poll = config.PollFastest
	}
	return err
}

// parseUint reads a number as the kernel's kstrtouint does: decimal,
// hexadecimal with 0x, octal with 0.
func parseUint(s string) (uint32, error) {
	digits, base := strings.TrimPrefix(s, "+"), 10
	switch {
	case len(digits) > 2 && (digits[:2] == "0x" || digits[:2] == "0X"):
		digits, base = digits[2:], 16
	case len(digits) > 1 && digits[0] == '0':
		digits, base = digits[1:], 8
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil {
		return 0, fmt.Errorf("want a number from 0 to %d, hexadecimal with 0x, octal with 0", uint32(math.MaxUint32))
	}
	return uint32(n), nil
}

func setBusyPoll(l *config.Load, s string) error {
	n, err := parseNumber(s, 0, int(config.MaxBusyPoll/time.Microsecond))
	if l.BusyPoll = time.Duration(n) * time.Microsecond; n == 0 {
		l.BusyPoll = config.BusyPollOff
	}
	return err
}

// parseNumber parses a decimal number without sign or prefix.
func parseNumber(s string, lowest, highest int) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || int(n) < lowest || int(n) > highest {
		return 0, fmt.Errorf("want a decimal number from %d to %d", lowest, highest)
	}
	return int(n), nil
}

func setFlags(i *config.Interface, s string) error {
	flags := strings.Split(s, "+")
	for n, flag := range flags {
		switch flag {
		case element.NetHdr.String():
			i.Format = element.NetHdr
		case element.EthDev.String():
			i.Format = element.EthDev
		default:
			return fmt.Errorf("unknown flag %q: want net_hdr or eth_dev", flag)
		}
		if slices.Contains(flags[:n], flag) {
			return fmt.Errorf("flag %s given twice", flag)
		}
	}
	if len(flags) > 1 {
		return fmt.Errorf("net_hdr and eth_dev exclude each other: an element holds an IP packet or an Ethernet frame")
	}
	return nil
}

func setMAC(i *config.Interface, s string) error {
	addr, err := net.ParseMAC(s)
	if err != nil || len(s) != len("00:00:00:00:00:00") || strings.ContainsAny(s, "-.") {
		return fmt.Errorf("want six hexadecimal bytes such as 02:00:00:00:00:01")
	}
	i.HardwareAddr = addr
	return nil
}

func setCarrier(i *config.Interface, s string) error {
	switch s {
	case config.CarrierAdmin.String():
		i.Carrier = config.CarrierAdmin
	case config.CarrierPeer.String():
		i.Carrier = config.CarrierPeer
	default:
		return fmt.Errorf("want admin or peer")
	}
	return nil
}

func setOffload(i *config.Interface, s string) error {
	if s != "on" && s != "off" {
		return fmt.Errorf("want on or off")
	}
	i.NoOffload = s == "off"
	return nil
}

// setRenew distinguishes an explicit 0 from no value.
func setRenew(i *config.Interface, s string) error {
	n, err := parseNumber(s, 0, int(config.MaxRenew/time.Second))
	if i.Renew = time.Duration(n) * time.Second; n == 0 {
		i.Renew = config.RenewOff
	}
	return err
}

func setForce(i *config.Interface, s string) error {
	if s != "0" && s != "1" {
		return fmt.Errorf("want 0 or 1")
	}
	i.Force = s == "1"
	return nil
}
