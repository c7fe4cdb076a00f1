package datapath

// Peer is the state of the in-channel's writer as the reader sees it.
type Peer uint8

// The states of a peer.
const (
	PeerInactive Peer = iota
	PeerActive
	PeerIncompatible
)

// String returns the state as `show` prints it.
func (p Peer) String() string { return [...]string{"inactive", "active", "incompatible"}[p] }

// sawPeer notes the state that the channel shows.
func (in *Inbound) sawPeer(p Peer) {
	if p != in.peer {
		in.listener.NewEpoch()
		in.setPeer(p)
	}
}

// setPeer changes the state of the peer. The caller holds the lock.
func (in *Inbound) setPeer(p Peer) {
	before := in.peer
	in.peer = p
	if before == p {
		return
	}
	in.cfg.Pulse.setActive(p == PeerActive)
	if p == PeerIncompatible {
		in.cfg.Log.Warn("peer is incompatible", "reason", in.r.Reason())
	}
	if (before == PeerActive) != (p == PeerActive) {
		in.cfg.OnPeer(p == PeerActive)
	}
}
