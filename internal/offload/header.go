package offload

import "encoding/binary"

// HeaderSize is the length of an encoded Header in bytes: struct virtio_net_hdr without num_buffers, which is what a TUN or TAP
// device with IFF_VNET_HDR puts in front of each packet unless TUNSETVNETHDRSZ asked for more.
const HeaderSize = 10

// Header says what is still to be done to the packet behind it (virtio 1.2 section 5.1.6, include/uapi/linux/virtio_net.h). Offsets
// count from the packet's first byte, that of the Ethernet header where there is one. The zero value is that of a complete packet.
//
//	offset  size  field       meaning
//	     0     1  Flags       NeedsCsum, DataValid
//	     1     1  GSOType     GSONone or what to cut the packet into, with GSOECN where CWR is set
//	     2     2  HdrLen      length of all headers: a hint, which Linux does not keep exact
//	     4     2  GSOSize     payload bytes of each segment but the last
//	     6     2  CsumStart   where the bytes begin that the checksum covers, which is where TCP or UDP begin
//	     8     2  CsumOffset  where the checksum field is, from CsumStart
//
// Numbers are little-endian in every encoding; that is also what an old (legacy) device on a little-endian machine has.
type Header struct {
	Flags, GSOType                         uint8
	HdrLen, GSOSize, CsumStart, CsumOffset uint16
}

// Values of Header.Flags. Others are ignored.
const (
	NeedsCsum = 1 // the checksum field holds the sum of the pseudo header, not complemented
	DataValid = 2 // the checksum was verified already
)

// Values of Header.GSOType. GSOECN is added to GSOTCPv4 or GSOTCPv6.
const (
	GSONone  = 0
	GSOTCPv4 = 1
	GSOUDP   = 3 // fragments of one UDP datagram (UFO): never asked for, never accepted
	GSOTCPv6 = 4
	GSOUDPL4 = 5 // several UDP datagrams (USO)
	GSOECN   = 0x80
)

// Decode sets h to what the first HeaderSize bytes of b say. It panics when b is shorter.
func (h *Header) Decode(b []byte) {
	_ = b[HeaderSize-1]
	h.Flags, h.GSOType = b[0], b[1]
	h.HdrLen = binary.LittleEndian.Uint16(b[2:])
	h.GSOSize = binary.LittleEndian.Uint16(b[4:])
	h.CsumStart = binary.LittleEndian.Uint16(b[6:])
	h.CsumOffset = binary.LittleEndian.Uint16(b[8:])
}

// Encode writes h into the first HeaderSize bytes of b. It panics when b is shorter.
func (h Header) Encode(b []byte) {
	_ = b[HeaderSize-1]
	b[0], b[1] = h.Flags, h.GSOType
	binary.LittleEndian.PutUint16(b[2:], h.HdrLen)
	binary.LittleEndian.PutUint16(b[4:], h.GSOSize)
	binary.LittleEndian.PutUint16(b[6:], h.CsumStart)
	binary.LittleEndian.PutUint16(b[8:], h.CsumOffset)
}
