package offload

import "strconv"

// Fault says why a packet cannot be sent. OK is no fault. Faults count from 0
// without gaps, so they can index an array of NumFaults counters.
type Fault uint8

// The faults that Segments.Init returns. A kernel that respects the negotiated
// features causes none of them.
const (
	OK Fault = iota

	Empty       // the packet has no bytes
	BadType     // the GSO type is unknown, fragments UDP (UFO), or has GSOECN without TCP
	BadSize     // the segment size is 0
	BadHeader   // the headers do not match the GSO type, or must not be repeated: fragments, tunnels, SYN, RST, URG
	BadLength   // a length in the headers contradicts the length of the packet
	BadChecksum // the checksum field is beyond the end, or not at the offset for the GSO type

	NumFaults = iota // number of faults, including OK
)

var faultNames = [NumFaults]string{
	OK:          "ok",
	Empty:       "empty",
	BadType:     "bad_gso_type",
	BadSize:     "bad_gso_size",
	BadHeader:   "bad_gso_header",
	BadLength:   "bad_gso_length",
	BadChecksum: "bad_checksum_field",
}

// String returns one lower-case word that can serve as the key of a counter,
// such as "ok" or "bad_gso_size".
func (f Fault) String() string {
	if int(f) < len(faultNames) {
		return faultNames[f]
	}
	return "fault(" + strconv.Itoa(int(f)) + ")"
}
