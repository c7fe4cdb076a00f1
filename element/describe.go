package element

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Description is a decoded element for display. Mark, Length, Protocol and QoS
// are the element's own fields, however wrong; Packet and Fault are what a
// reader makes of it.
type Description struct {
	Format   Format
	Mark     uint32 // NetHdr only
	Length   int    // the length field; for Raw, the bytes up to the last non-zero one
	Protocol uint8  // NetHdr only
	QoS      uint8  // NetHdr only
	Packet   []byte // the packet a reader would deliver, aliases the element; nil on a fault
	Stray    int    // number of non-zero bytes after Packet; 0 on a fault
	Fault    Fault
}

// Describe decodes an element for display. It reads elem more than once, so
// elem must be a private copy, not shared memory.
func Describe(f Format, elem []byte) Description {
	d := Description{Format: f}
	packet, fault := f.Decode(make([]byte, len(elem)), elem)
	d.Fault = fault
	if fault == BadElement {
		return d
	}
	start, end := 0, len(elem)
	switch f {
	case NetHdr:
		d.Mark = binary.LittleEndian.Uint32(elem[markOffset:])
		d.Length = int(binary.LittleEndian.Uint16(elem[lengthOffset:]))
		d.Protocol = elem[protocolOffset]
		d.QoS = elem[qosOffset]
		start = headerSize
	case EthDev:
		end -= trailerSize
		d.Length = int(binary.LittleEndian.Uint16(elem[end:]))
	default:
		d.Length = len(strings.TrimRight(string(elem), "\x00"))
	}
	if fault == OK {
		rest := start + len(packet.Data)
		d.Packet = elem[start:rest:rest]
		for _, b := range elem[rest:end] {
			if b != 0 {
				d.Stray++
			}
		}
	}
	return d
}

// String returns one line for `channel dump`, such as
//
//	mark 0x7, length 60, protocol 4 (IPv4), qos 46
//	length 65535: bad_length
func (d Description) String() string {
	if d.Fault == BadElement {
		return d.Fault.String()
	}
	var b strings.Builder
	if d.Format == NetHdr {
		fmt.Fprintf(&b, "mark %#x, length %d, protocol %d%s, qos %d", d.Mark, d.Length, d.Protocol, protocolName(d.Protocol), d.QoS)
	} else {
		fmt.Fprintf(&b, "length %d", d.Length)
	}
	if d.Format == NetHdr && d.Fault == OK && len(d.Packet) != d.Length {
		fmt.Fprintf(&b, ", packet of %d bytes", len(d.Packet))
	}
	if d.Stray > 0 {
		fmt.Fprintf(&b, ", %d stray bytes after it", d.Stray)
	}
	if d.Fault != OK {
		fmt.Fprintf(&b, ": %s", d.Fault)
	}
	return b.String()
}

func protocolName(protocol uint8) string {
	switch protocol {
	case protocolIPv4:
		return " (IPv4)"
	case protocolIPv6:
		return " (IPv6)"
	}
	return ""
}
