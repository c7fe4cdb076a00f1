package packet

// Verdict says what to do with a packet.
type Verdict uint8

const (
	Fits   Verdict = iota // send it unchanged
	Cut                   // send the pieces that Fragment returns
	Refuse                // do not send it; tell the sender with TooBig
	Drop                  // do not send it: malformed, or not IP
)

// minMTU4 is the packet size that every IPv4 router must forward without
// fragmentation: the longest header and a fragment of 8 bytes (RFC 791 section
// 3.2). Below it, some packets cannot be fragmented at all.
const minMTU4 = 68

// Version returns the IP version in the first four bits of p, 0 if p is empty.
func Version(p []byte) int {
	if len(p) == 0 {
		return 0
	}
	return int(p[0] >> 4)
}

// Limit returns the longest packet of an IP version, in bytes, that a PMTU
// entry permits, for use with Check, Fragment and TooBig. Entry 0 means no
// limit, and so does the result 0. Entries below the minimum of the protocol,
// 68 bytes for IPv4 and 1280 for IPv6 (RFC 8200 section 5), are raised to it.
// Entries above the longest packet are lowered to that.
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

// Check decides what to do with p under a limit in bytes, which is a result of
// Limit; 0 or less means no limit. Of a packet that fits, Check looks only at
// the length.
func Check(p []byte, limit int) Verdict {
	if limit <= 0 || len(p) <= limit {
		return Fits
	}
	return judge(p, limit)
}

// judge is Check for packets longer than limit.
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
