package datapath

import "github.com/muennet/muennet/internal/packet"

// limit is the length of the longest packet of a mark, in bytes: what its path
// and an element take. 0 is no limit, or nothing to be done about a longer
// packet but to drop it.
func (o *Outbound) limit(mark uint32) int {
	if o.cfg.Answers == nil {
		return 0
	}
	path := 0
	if mark != 0 && o.cfg.PMTU != nil {
		path = int(o.cfg.PMTU.lookup(mark))
	}
	return o.cfg.Sink.limit(path)
}

// sendLong sends fragments of a packet that is longer than limit, or tells its
// source the limit. A child's MTU may be larger than its parent's: without an
// answer its connections would hang.
func (o *Outbound) sendLong(p []byte, mark uint32, limit int) {
	mtu := packet.Limit(uint32(limit), packet.Version(p))
	switch packet.Check(p, mtu) {
	case packet.Cut:
		pieces, _ := packet.Fragment(p, mtu)
		for piece := pieces.Next(); piece != nil; piece = pieces.Next() {
			o.cfg.Sink.send(piece, mark, &o.count)
		}
	case packet.Refuse:
		n, ok := packet.TooBig(o.reply[:], p, mtu)
		o.refuse(p, mark)
		if ok {
			o.cfg.Answers.answer(o.reply[:n])
		}
	case packet.Drop:
		o.refuse(p, mark)
	default: // the protocol cannot live with less
		o.cfg.Sink.send(p, mark, &o.count)
	}
}

// refuse counts a packet that is too long, for the element or else for the
// path.
func (o *Outbound) refuse(p []byte, mark uint32) {
	if len(p) > o.cfg.Sink.limit(0) {
		// The Sender counts it, or sends it if elements have grown since.
		o.cfg.Sink.send(p, mark, &o.count)
		return
	}
	o.cfg.Sink.drop(ExceedsPMTU, &o.count)
}
