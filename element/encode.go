package element

import "encoding/binary"

// Check says whether packet can be sent in an element of size bytes: the fault Encode would return, without writing anything.
// It does not allocate.
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

// Encode writes packet into slot, whose length is the element's size and which is only written, never read: it is shared
// memory. Packet is the caller's, must not overlap slot and is not kept. The mark is written by NetHdr only; the other formats
// have no room for it.
//
// It returns the number of leading bytes that now hold data. What an older, longer packet left behind them is for the caller to
// clear, but for EthDev only up to the trailer: the last two bytes, which Encode also wrote, are not counted in used.
//
// Raw takes packets of 1 byte up to the size of the element, EthDev of 14 up to size-2, NetHdr only IPv4 and IPv6 by their
// version, with at least their fixed header and up to size-8. The length field is len(packet), whatever the IP header says.
// On a fault nothing is written and used is 0. It does not allocate.
func (f Format) Encode(slot, packet []byte, mark uint32) (used int, fault Fault) {
	if fault = f.Check(len(slot), packet); fault != OK {
		return 0, fault
	}
	return f.Seal(slot, packet, copy(f.Body(slot), packet), mark), OK
}

// Offset returns where in an element the packet begins.
func (f Format) Offset() int {
	if f == NetHdr {
		return headerSize
	}
	return 0
}

// Body returns the part of slot that the packet lies in, for a caller that writes it there itself. Seal then completes the element.
func (f Format) Body(slot []byte) []byte {
	switch f {
	case NetHdr:
		return slot[headerSize:]
	case EthDev:
		return slot[:len(slot)-trailerSize]
	}
	return slot
}

// Seal completes an element whose first n bytes of Body are a packet that Check would pass; head is the caller's own copy of the
// beginning of that packet, at least 2 bytes, because the slot is shared memory and not read. It returns what Encode returns as used.
func (f Format) Seal(slot, head []byte, n int, mark uint32) (used int) {
	switch f {
	case NetHdr:
		// One store for the whole header; the layout test holds it against the table of offsets.
		binary.LittleEndian.PutUint64(slot, uint64(mark)|uint64(n)<<32|ipFields(head)<<48)
		return headerSize + n
	case EthDev:
		binary.LittleEndian.PutUint16(slot[len(slot)-trailerSize:], uint16(n))
	}
	return n
}

// ipFields returns the protocol field of an IP packet in the lower and its qos field in the upper eight bits. The traffic class
// of IPv6 lies across the first two bytes (RFC 8200 section 3); its two lowest bits are ECN and fall away, as those of IPv4.
func ipFields(packet []byte) uint64 {
	if packet[0]>>4 == 4 {
		return protocolIPv4 | uint64(packet[1]>>2)<<8
	}
	return protocolIPv6 | uint64(packet[0]&0xf<<2|packet[1]>>6)<<8
}
