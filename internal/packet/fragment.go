package packet

import "encoding/binary"

// Pieces are the fragments of an IPv4 packet. Next returns them one by one. The
// zero value has none.
//
// Only headers are copied: each piece is a part of the packet itself, and its
// header overwrites the end of the payload of the previous piece.
//
//	packet   [header][payload 1 ....................][payload 2 .............]
//	piece 1  [header][payload 1 ....................]
//	piece 2                                  [header][payload 2 .............]
type Pieces struct {
	packet []byte
	start  int    // offset in packet of the next piece's payload
	limit  int    // maximum length of a piece
	first  int    // header length of the first piece
	length int    // header length of the others
	word   uint16 // flags and offset of the packet

	header [maxHeader4]byte // of the pieces after the first
}

// Fragment splits an IPv4 packet without DF into pieces of at most limit bytes.
// All but the last are as long as the limit and the 8-byte granularity of
// fragments allow (RFC 791 section 3.2). A packet that is itself a fragment is
// split further.
//
// Fragment returns false and changes nothing if Check(p, limit) is not Cut: the
// packet is not longer than limit, not IPv4, has DF set, or is malformed
// (including its options, and fragments that cannot be part of any packet), or
// limit leaves no room for 8 bytes after the header.
//
// Calls of Next overwrite p. Do not touch its bytes until you are done with the
// last piece; afterwards they are garbage.
func Fragment(p []byte, limit int) (Pieces, bool) {
	h, ok := ParseIPv4(p)
	if !ok || len(p) <= limit || h.DontFragment() {
		return Pieces{}, false
	}
	n := h.HeaderLength()
	s := Pieces{packet: p, start: n, limit: limit, first: n, word: h.fragment()}
	switch payload := len(p) - n; {
	case limit < n+8:
		return Pieces{}, false
	case h.Offset()+len(p) > maxLength4: // beyond the longest packet; the offset of a piece might not fit into 13 bits
		return Pieces{}, false
	case s.word&moreFollow != 0 && payload%8 != 0: // the next fragment could not start on 8 bytes
		return Pieces{}, false
	}
	if s.length, ok = copyHeader(&s.header, h); !ok {
		return Pieces{}, false
	}
	return s, true
}

// Next returns the next piece, with a correct checksum, or nil after the last.
// The piece is a part of the packet and valid until the next call. Type of
// service, ID, TTL, protocol and addresses are those of the packet. The first
// piece has all options, the others only those with the copied flag (RFC 791
// section 3.1).
func (s *Pieces) Next() []byte {
	if s.start >= len(s.packet) {
		return nil
	}
	isFirst := s.start == s.first
	header := s.length
	if isFirst {
		header = s.first
	}
	size := len(s.packet) - s.start
	word := s.word + uint16((s.start-s.first)/8)
	if header+size > s.limit {
		size = (s.limit - header) &^ 7
		word |= moreFollow
	}
	end := s.start + size
	piece := IPv4(s.packet[s.start-header : end : end])
	if !isFirst {
		copy(piece, s.header[:header])
	}
	binary.BigEndian.PutUint16(piece[2:], uint16(len(piece)))
	binary.BigEndian.PutUint16(piece[6:], word)
	piece.setChecksum()
	s.start = end
	return piece
}

// copyHeader writes the header of h for all pieces but the first, that is, with
// only the options whose copied flag is set. It returns the length of that
// header, or false if the options run past the end of the header.
func copyHeader(dst *[maxHeader4]byte, h IPv4) (int, bool) {
	const (
		endOfOptions = 0
		noOperation  = 1
		copied       = 0x80
	)
	copy(dst[:minHeader4], h)
	n := minHeader4
	options := h[minHeader4:h.HeaderLength()]
	for len(options) > 0 && options[0] != endOfOptions {
		if options[0] == noOperation { // padding, which the new header does not need
			options = options[1:]
			continue
		}
		if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
			return 0, false
		}
		length := int(options[1])
		if options[0]&copied != 0 {
			n += copy(dst[n:], options[:length])
		}
		options = options[length:]
	}
	n = (n + 3) &^ 3 // pads with zeros, the end of options
	dst[0] = 4<<4 | byte(n/4)
	return n, true
}
