package packet

// Verdict is what to do with a packet.
type Verdict uint8

const (
	Fits   Verdict = iota // send it as it is
	Cut                   // send the pieces Fragment makes of it
	Refuse                // do not send it; TooBig tells its sender
	Drop                  // do not send it: malformed, or not IP
)

// minMTU4 is the packet every IPv4 module must be able to forward whole: the longest header and one fragment of 8 bytes (RFC 791
// section 3.2). Below it there would be packets that cannot be cut at all.
const minMTU4 = 68

// Version returns the IP version p claims in its first four bits, 0 for no bytes at all.
func Version(p []byte) int {
	if len(p) == 0 {
		return 0
	}
	return int(p[0] >> 4)
}

// Limit returns the longest packet of an IP version, in bytes, that a PMTU entry lets through, for Check, Fragment and TooBig.
// Entry 0 is no limit, and so is the result 0. Less than the protocol can live with counts as its minimum: 68, and 1280 for
// version 6 (RFC 8200 section 5). More than a packet can have counts as the longest packet.
func Limit(entry uint32, version int) int {
	if entry == 0 {
		return 0
	}
	least := uint32(minMTU4)
	if version == 6 {
		least = minMTU6
	}
	return int(min(max(entry, least), maxLength6))
}

// Check decides what becomes of p under a limit in bytes, a result of Limit; 0 or less is no limit. Of a packet that fits nothing
// but the length is looked at.
func Check(p []byte, limit int) Verdict {
	if limit <= 0 || len(p) <= limit {
		return Fits
	}
	return judge(p, limit)
}

// judge is Check for a packet that is too long.
func judge(p []byte, limit int) Verdict {
	if h, ok := ParseIPv4(p); ok {
		if h.DontFragment() {
			return Refuse
		}
		if _, ok := Fragment(p, limit); ok {
			return Cut
		}
		return Drop
	}
	if _, ok := ParseIPv6(p); ok {
		return Refuse
	}
	return Drop
}
