package offload

import "encoding/binary"

// HeaderSize is the length of an encoded Header in bytes. It is struct
// virtio_net_hdr without num_buffers, which a TUN or TAP device with
// IFF_VNET_HDR puts before each packet unless TUNSETVNETHDRSZ sets another
// size.
const HeaderSize = 10

// Header says what remains to be done to the packet after it (virtio 1.2
// section 5.1.6, include/uapi/linux/virtio_net.h). Offsets count from the first
// byte of the packet, that is, of the Ethernet header if there is one. The zero
// value is the header of a complete packet.
//
//	offset  size  field       meaning
//	     0     1  Flags       NeedsCsum, DataValid
//	     1     1  GSOType     GSONone or the kind of segments, with GSOECN if CWR is set
//	     2     2  HdrLen      length of all headers: a hint, which Linux does not keep accurate
//	     4     2  GSOSize     payload bytes of each segment but the last
//	     6     2  CsumStart   offset of the checksummed bytes, that is, of the TCP or UDP header
//	     8     2  CsumOffset  offset of the checksum field from CsumStart
//
// Numbers are little-endian. Legacy devices use the byte order of the machine,
// which is little-endian as well.
type Header struct {
	Flags, GSOType                         uint8
	HdrLen, GSOSize, CsumStart, CsumOffset uint16
}

// Values of Header.Flags. Others are ignored.
const (
	NeedsCsum = 1 // the checksum field holds the sum of the pseudo-header, not complemented
	DataValid = 2 // the checksum has been verified
)

// Values of Header.GSOType. GSOECN is a flag for GSOTCPv4 and GSOTCPv6.
const (
	GSONone  = 0
	GSOTCPv4 = 1
	GSOUDP   = 3 // fragments of one UDP datagram (UFO): never requested or accepted
	GSOTCPv6 = 4
	GSOUDPL4 = 5 // several UDP datagrams (USO)
	GSOECN   = 0x80
)

// Decode sets h from the first HeaderSize bytes of b. It panics if b is
// shorter.
func (h *Header) Decode(b []byte) {
	_ = b[HeaderSize-1]
	h.Flags, h.GSOType = b[0], b[1]
	h.HdrLen = binary.LittleEndian.Uint16(b[2:])
	h.GSOSize = binary.LittleEndian.Uint16(b[4:])
	h.CsumStart = binary.LittleEndian.Uint16(b[6:])
	h.CsumOffset = binary.LittleEndian.Uint16(b[8:])
}

// Encode writes h into the first HeaderSize bytes of b. It panics if b is
// shorter.
func (h Header) Encode(b []byte) {
	_ = b[HeaderSize-1]
	b[0], b[1] = h.Flags, h.GSOType
	binary.LittleEndian.PutUint16(b[2:], h.HdrLen)
	binary.LittleEndian.PutUint16(b[4:], h.GSOSize)
	binary.LittleEndian.PutUint16(b[6:], h.CsumStart)
	binary.LittleEndian.PutUint16(b[8:], h.CsumOffset)
}
