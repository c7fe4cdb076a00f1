package offload

import "strconv"

// Fault is the reason why a packet cannot be sent. OK is none. Faults count from 0 without gaps, so that an array of NumFaults
// counters can be indexed by them.
type Fault uint8

// What Segments.Init finds. No kernel that keeps to what was negotiated hands over any of them.
const (
	OK Fault = iota

	Empty       // the packet has no bytes
	BadType     // the GSO type is unknown, fragments UDP (UFO), or has GSOECN without TCP
	BadSize     // the packet is to be cut into segments of 0 bytes
	BadHeader   // the packet's headers are not those of its GSO type, or must not be repeated: fragments, tunnels, SYN, RST, URG
	BadLength   // a length in the packet's headers contradicts that of the packet
	BadChecksum // the checksum field is beyond the end, or not where the GSO type has it

	NumFaults = iota // how many there are, OK included
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

// String returns one lower-case word, fit for the key of a counter: "ok", "bad_gso_size".
func (f Fault) String() string {
	if int(f) < len(faultNames) {
		return faultNames[f]
	}
	return "fault(" + strconv.Itoa(int(f)) + ")"
}
