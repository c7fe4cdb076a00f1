package packet

import "github.com/muennet/muennet/internal/checksum"

// Checksum returns the Internet checksum (RFC 1071) of b, continuing from
// initial, which is 0 or a result of checksum.Sum or PseudoHeader. For a header
// whose checksum field is zero it returns the value for that field; for one
// with a correct checksum it returns 0. UDP sends a checksum of 0 as 0xffff
// (RFC 768); that is up to the caller.
func Checksum(b []byte, initial uint32) uint16 {
	return ^uint16(checksum.Sum(b, initial))
}

// PseudoHeader returns the sum of the pseudo-header that TCP, UDP and ICMPv6
// checksums include (RFC 9293 section 3.1, RFC 8200 section 8.1). addresses
// holds source and destination as in the IP header: bytes 12 to 20 of IPv4, 8
// to 40 of IPv6. length is the size of transport header and payload in bytes.
func PseudoHeader(addresses []byte, protocol uint8, length int) uint32 {
	n := uint32(length)
	return checksum.Sum(addresses, n>>16+n&0xffff+uint32(protocol))
}
