package packet

import "encoding/binary"

// Pieces are the fragments of one IPv4 packet, handed out one after the other by Next. The zero value has none.
//
// Nothing is copied but headers: each piece is a part of the packet itself, with its header written over the end of the payload
// that the piece before it carried.
//
//	packet   [header][payload 1 ....................][payload 2 .............]
//	piece 1  [header][payload 1 ....................]
//	piece 2                                  [header][payload 2 .............]
type Pieces struct {
	packet []byte
	start  int    // where in packet the payload of the next piece begins
	limit  int    // longest piece
	first  int    // header length of the first piece
	length int    // header length of all others
	word   uint16 // flags and offset the packet came with

	header [maxHeader4]byte // of all pieces but the first
}

// Fragment cuts an IPv4 packet without DF into pieces of at most limit bytes, all but the last as long as that and steps of 8
// bytes allow (RFC 791 section 3.2). A packet that is a fragment itself is cut further. It is false, with nothing changed, when
// Check(p, limit) is not Cut: the packet is not longer than limit, not IPv4, has DF set, or is malformed (also in its options, or as
// a fragment that could never be part of a packet), or limit leaves no room for 8 bytes behind the header.
//
// Calls of Next use up p: its bytes must stay untouched by others until the last piece is done with, and are of no use afterwards.
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
	case h.Offset()+len(p) > maxLength4: // beyond every packet, and the offset of a piece might not fit its 13 bits
		return Pieces{}, false
	case s.word&moreFollow != 0 && payload%8 != 0: // the next fragment has nowhere to begin
		return Pieces{}, false
	}
	if s.length, ok = copyHeader(&s.header, h); !ok {
		return Pieces{}, false
	}
	return s, true
}

// Next returns the next piece, complete with a good checksum, or nil after the last. The piece is a part of the packet, valid until
// the following call. Type of service, id, TTL, protocol and addresses are those of the packet; options are all on the first
// piece and on the others those that ask for it (RFC 791 section 3.1, copied flag).
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

// copyHeader writes the header of h as all pieces but the first have it, with only the options whose copied flag is set, and
// returns its length. It is false when the options run past the end of the header.
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
		if options[0] == noOperation { // fills gaps, and those of the new header are elsewhere
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
	n = (n + 3) &^ 3 // what is added is zero, the end of options
	dst[0] = 4<<4 | byte(n/4)
	return n, true
}
