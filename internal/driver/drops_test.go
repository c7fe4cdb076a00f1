package driver

import (
	"encoding/json"
	"testing"

	"github.com/muennet/muennet/internal/testnet"
)

// dropped is what ip -s link shows as received and dropped.
func (l *lab) dropped(name string) uint64 {
	l.t.Helper()
	var links []struct {
		Stats64 struct {
			RX struct{ Dropped uint64 }
		}
	}
	must(l.t, json.Unmarshal([]byte(l.ns.MustRun("ip", "-json", "-s", "link", "show", "dev", name)), &links))
	return links[0].Stats64.RX.Dropped
}

// sendZeros writes n elements of zeros: no packet in any format.
func (p *peer) sendZeros(n int) {
	for range n {
		p.w.Reserve(1)
		clear(p.w.Slot(0))
		p.w.Fill(0, p.w.Size())
		p.w.Publish()
	}
	p.ring()
}

// The kernel counts malformed elements and overruns as dropped, and no more of
// them in one round than a peer may cost. What the kernel refuses it counts
// itself.
func TestDropsAreTold(t *testing.T) {
	l := newLab(t)
	d := l.driver()
	l.mustLoad(d, netHdr("net0"))
	l.up(d, "net0")
	d.patrol.end() // the test makes the rounds
	p := l.peer("a")
	p.start()
	testnet.Eventually(t, "peer", func() bool { return status(t, d).Reader.Peer == "active" })

	// errors is what the interface has counted once it has read all that was sent.
	errors := func() uint64 {
		t.Helper()
		before := status(t, d).Stats.RxPackets
		p.send(1)
		p.ring()
		testnet.Eventually(t, "a packet", func() bool { return status(t, d).Stats.RxPackets > before })
		return status(t, d).Stats.RxErrors
	}
	var seen, want uint64
	round := func() {
		t.Helper()
		all := errors()
		want += min(all-seen, mostTold)
		seen = all
		d.patrol.round()
		if got := l.dropped("net0"); got != want {
			t.Errorf("%d dropped, want %d of %d", got, want, all)
		}
	}
	round()
	p.sendZeros(1)
	round()
	for ring := 2 * int(l.header("a").Elements); status(t, d).Reader.Overruns == 0; {
		p.sendZeros(ring)
		round()
	}
	for errors() <= seen+mostTold {
		p.sendZeros(10)
	}
	round()
	round() // the rest is forgotten
	p.sendZeros(2)
	round()
	if want == seen {
		t.Errorf("all of %d were told; want fewer", seen)
	}
}
