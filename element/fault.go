package element

import "strconv"

// Fault is the reason why a packet was not sent or an element not delivered. OK is none. Faults count from 0 without gaps, so
// that an array of NumFaults counters can be indexed by them.
type Fault uint8

// The first group is found when sending, the second when receiving; none is found in both directions.
const (
	OK Fault = iota

	Empty    // the packet has no bytes
	TooShort // the packet is shorter than the IP or Ethernet header it must begin with
	Oversize // the packet is longer than the element can carry
	NotIP    // NetHdr: the packet is neither IPv4 nor IPv6

	BadElement  // the element is smaller than the format's MinSize
	BadProtocol // NetHdr: the protocol field is neither 4 nor 41
	BadVersion  // NetHdr: the packet's IP version contradicts the protocol field
	BadLength   // the length is below that of a header or beyond the end of the element

	NumFaults = iota // how many there are, OK included
)

var faultNames = [NumFaults]string{
	OK:          "ok",
	Empty:       "empty",
	TooShort:    "too_short",
	Oversize:    "oversize",
	NotIP:       "not_ip",
	BadElement:  "bad_element",
	BadProtocol: "bad_protocol",
	BadVersion:  "bad_version",
	BadLength:   "bad_length",
}

// String returns one lower-case word, fit for the key of a counter: "ok", "not_ip", "bad_length".
func (f Fault) String() string {
	if int(f) < len(faultNames) {
		return faultNames[f]
	}
	return "fault(" + strconv.Itoa(int(f)) + ")"
}
