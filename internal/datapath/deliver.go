package datapath

import "github.com/muennet/muennet/element"

// deliver hands the packets of a burst to their devices. Consecutive packets of
// one flow, one mark and one device are merged if the device takes that.
func (in *Inbound) deliver() {
	first := 0 // packet of the batch; the last one is before i
	var port *Port
	for i, p := range in.packets {
		to, packet := in.port(p.mark), p.frame[in.cfg.Port.cfg.Skip:]
		merges := to.merges()
		if n := in.batch.Len(); n > 0 && n == i-first && merges && to == port && p.mark == in.packets[first].mark && in.batch.Add(packet, in.ethernet()) {
			continue
		}
		in.handOver(port, in.packets[first:i])
		port, first = to, i
		if merges {
			in.batch.Add(packet, in.ethernet())
		}
	}
	in.handOver(port, in.packets[first:])
	in.packets = in.packets[:0]
}

func (in *Inbound) ethernet() bool { return in.cfg.Format == element.EthDev }

// handOver hands packets to a device, as one if they are a batch.
func (in *Inbound) handOver(port *Port, packets []received) {
	defer in.batch.Reset()
	if in.batch.Len() > 1 && port.deliverMerged(&in.batch, packets[0].mark) {
		return
	}
	for _, p := range packets {
		port.deliver(p.frame, p.mark)
	}
}

// port returns where packets of a mark go.
func (in *Inbound) port(mark uint32) *Port {
	if mark != 0 {
		if to := in.routes[mark]; to != nil {
			return to
		}
	}
	return in.cfg.Port
}

// Route sends packets of a mark to a child's Port from the next packet on; nil
// sends them to the parent's again. When it returns, no packet of that mark is
// on its way to its former Port.
func (in *Inbound) Route(mark uint32, to *Port) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if to == nil {
		delete(in.routes, mark)
	} else {
		in.routes[mark] = to
	}
}
