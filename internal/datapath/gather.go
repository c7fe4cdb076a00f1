package datapath

import (
	"cmp"

	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/shmstream"
)

// received is a packet that was copied out of the channel and confirmed. Its
// frame begins with the bytes that the device wants before a packet.
type received struct {
	frame []byte
	mark  uint32
}

// arenaSize is the memory of a burst's packets in bytes, unless a single packet
// takes more. It stays in the processor's second-level cache.
const arenaSize = 256 << 10

// gather copies elements out of the channel until it is empty, the burst is
// full, or the epoch changes.
func (in *Inbound) gather() {
	if in.size != in.r.Size() {
		in.layOut()
	}
	for in.moved < gatherSize && len(in.packets) < in.room() {
		in.listener.Look()
		slot, result := in.r.Next()
		switch result {
		case shmstream.Success:
			in.take(slot)
			in.moved++
		case shmstream.Overrun:
			in.moved++
		case shmstream.EpochChanged:
			in.listener.NewEpoch()
			in.seen = cmp.Or(in.r.Size(), in.seen)
			in.cfg.Pulse.setEpoch(in.r.Epoch())
			in.sawPeer(PeerActive)
			in.moved++
			return // the packets so far need the arena as it is
		case shmstream.NoData:
			in.sawPeer(PeerActive)
			return
		case shmstream.Inactive:
			in.sawPeer(PeerInactive)
			return
		case shmstream.Incompatible:
			in.sawPeer(PeerIncompatible)
			return
		}
	}
	in.sawPeer(PeerActive)
}

// take copies one element into the arena and keeps its packet.
func (in *Inbound) take(slot []byte) {
	skip := in.cfg.Port.cfg.Skip
	at := len(in.packets) * in.stride
	packet, fault := in.cfg.Format.Decode(in.arena[at+skip:at+in.stride], slot)
	if in.r.Confirm() != shmstream.Success {
		return
	}
	if fault != element.OK {
		in.faults[fault]++
		return
	}
	// The frame begins skip bytes before the packet: with net_hdr over the end of
	// the element's header, which is not needed any more.
	begin := at + in.cfg.Format.Offset()
	frame := in.arena[begin : begin+skip+len(packet.Data)]
	clear(frame[:skip])
	in.packets = append(in.packets, received{frame, packet.Mark})
}

// room is how many packets the arena holds.
func (in *Inbound) room() int {
	if in.stride == 0 {
		return 1
	}
	return len(in.arena) / in.stride
}

// layOut lays out the arena for the elements of a new epoch. It must not hold
// packets.
func (in *Inbound) layOut() {
	in.size = in.r.Size()
	in.stride = (in.cfg.Port.cfg.Skip + in.r.Size() + 63) &^ 63
	if need := min(max(arenaSize, in.stride), gatherSize*in.stride); len(in.arena) < need {
		in.arena = make([]byte, need)
	}
}
