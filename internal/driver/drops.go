package driver

// mostTold is how many drops of one interface the kernel is told of in one
// round of the patrol. Each takes a system call of about 3 µs, so a peer that
// sends only malformed elements costs 3 ms a round. A round comes every 10
// seconds as a rule, and no peer can cause more than two in a second.
const mostTold = 1000

// tellDrops has the kernel count what the in-channel held since the last round
// and no interface received: malformed elements and overruns. ip -s link then
// shows them as dropped. The kernel itself counts the packets that it refused.
//
// Beyond mostTold the count is not made up for later: it would go on growing
// long after the last drop. Only the patrol calls tellDrops.
func (p *parent) tellDrops() {
	if p.inbound == nil {
		return
	}
	in := p.inbound.Status()
	lost := in.Reader.Overruns
	for _, n := range in.Faults {
		lost += n
	}
	n := min(lost-p.told, mostTold)
	p.told = lost
	for range n {
		if p.dev.CountDrop() != nil {
			return // the kernel takes nothing now, or the interface has gone
		}
	}
}
