package datapath

import "github.com/muennet/muennet/internal/packet"

// most is how long a packet of a mark may be, in bytes: its path and the elements
// limit that. 0 is no limit, or that there is nothing else to do with a longer one
// than to drop it.
func (o *Outbound) most(mark uint32) int {
	if o.cfg.Answers == nil {
		return 0
	}
	path := 0
	if mark != 0 && o.cfg.PMTU != nil {
		path = int(o.cfg.PMTU.lookup(mark))
	}
	return o.cfg.Sink.limit(path)
}

// sendLong sends pieces of a packet that is longer than most, or tells its sender
// how long it may be. A child's MTU may be larger than its parent's: without an
// answer its connections would hang.
func (o *Outbound) sendLong(p []byte, mark uint32, most int) {
	limit := packet.Limit(uint32(most), packet.Version(p))
	switch packet.Check(p, limit) {
	case packet.Cut:
		pieces, _ := packet.Fragment(p, limit)
		for piece := pieces.Next(); piece != nil; piece = pieces.Next() {
			o.cfg.Sink.send(piece, mark, &o.count)
		}
	case packet.Refuse:
		n, ok := packet.TooBig(o.reply[:], p, limit)
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

// refuse counts a packet that is too long, by what it is too long for.
func (o *Outbound) refuse(p []byte, mark uint32) {
	if len(p) > o.cfg.Sink.limit(0) {
		o.cfg.Sink.send(p, mark, &o.count) // which counts it, and sends it if the elements have grown since
		return
	}
	o.cfg.Sink.drop(ExceedsPMTU, &o.count)
}
