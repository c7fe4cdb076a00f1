package element

import "encoding/binary"

// Check returns the fault that Encode would return for packet in an element of
// size bytes. It does not allocate.
func (f Format) Check(size int, packet []byte) Fault {
	if len(packet) == 0 {
		return Empty
	}
	switch f {
	case NetHdr:
		need := 0
		switch packet[0] >> 4 {
		case 4:
			need = ipv4HeaderSize
		case 6:
			need = ipv6HeaderSize
		default:
			return NotIP
		}
		if len(packet) < need {
			return TooShort
		}
	case EthDev:
		if len(packet) < ethernetHeaderSize {
			return TooShort
		}
	}
	if len(packet) > f.MaxPacket(size) {
		return Oversize
	}
	return OK
}

// Encode writes packet into slot. slot is shared memory, and its length is the
// size of the element; Encode never reads it. packet must not overlap slot, and
// Encode does not keep it. Only NetHdr carries the mark.
//
// It returns the number of leading bytes that now hold data. The caller must
// clear what an older, longer packet left after them. For EthDev that excludes
// the last two bytes: Encode has written the trailer there, and used does not
// count it.
//
// Raw takes packets of 1 byte up to the size of the element, EthDev of 14 up to
// size-2. NetHdr takes only IPv4 and IPv6, told apart by the version, of at
// least the fixed header and up to size-8 bytes. The length field is
// len(packet), whatever the IP header says. On a fault Encode writes nothing
// and used is 0. It does not allocate.
func (f Format) Encode(slot, packet []byte, mark uint32) (used int, fault Fault) {
	if fault = f.Check(len(slot), packet); fault != OK {
		return 0, fault
	}
	return f.Seal(slot, packet, copy(f.Body(slot), packet), mark), OK
}

// Offset returns the offset of the packet in an element.
func (f Format) Offset() int {
	if f == NetHdr {
		return headerSize
	}
	return 0
}

// Body returns the part of slot that holds the packet, for a caller that writes
// the packet there itself and then completes the element with Seal.
func (f Format) Body(slot []byte) []byte {
	switch f {
	case NetHdr:
		return slot[headerSize:]
	case EthDev:
		return slot[:len(slot)-trailerSize]
	}
	return slot
}

// Seal completes an element whose Body starts with a packet of n bytes that
// Check would accept. It does not read slot, which is shared memory: head is
// the caller's own copy of at least the first 2 bytes of the packet. Seal
// returns the same used as Encode.
func (f Format) Seal(slot, head []byte, n int, mark uint32) (used int) {
	switch f {
	case NetHdr:
		// One store for the whole header; a test checks it against the
		// table of offsets.
		binary.LittleEndian.PutUint64(slot, uint64(mark)|uint64(n)<<32|ipFields(head)<<48)
		return headerSize + n
	case EthDev:
		binary.LittleEndian.PutUint16(slot[len(slot)-trailerSize:], uint16(n))
	}
	return n
}

// ipFields returns the protocol field of an IP packet in the lower eight bits
// and its qos field in the upper eight. The traffic class of IPv6 spans the
// first two bytes (RFC 8200 section 3). Its lowest two bits are ECN and are
// dropped, as they are for IPv4.
func ipFields(packet []byte) uint64 {
	if packet[0]>>4 == 4 {
		return protocolIPv4 | uint64(packet[1]>>2)<<8
	}
	return protocolIPv6 | uint64(packet[0]&0xf<<2|packet[1]>>6)<<8
}
