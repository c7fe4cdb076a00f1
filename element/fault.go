package element

import "strconv"

// Fault says why a packet was not sent or an element not delivered. OK is no
// fault. Faults count from 0 without gaps, so they can index an array of
// NumFaults counters.
type Fault uint8

// The first group occurs only on sending, the second only on receiving.
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

	NumFaults = iota // number of faults, including OK
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

// String returns one lower-case word that can serve as the key of a counter,
// such as "ok", "not_ip" or "bad_length".
func (f Fault) String() string {
	if int(f) < len(faultNames) {
		return faultNames[f]
	}
	return "fault(" + strconv.Itoa(int(f)) + ")"
}
