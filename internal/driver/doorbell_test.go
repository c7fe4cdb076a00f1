package driver

import (
	"errors"
	"testing"

	"github.com/muennet/muennet/internal/datapath"
	"github.com/muennet/muennet/internal/testnet"
)

// The status says for each direction whether it has a bell, and why not.
func TestStatusOfDoorbells(t *testing.T) {
	w := writerStatus(datapath.SenderStatus{Doorbell: "muenfs events", DoorbellErr: errors.New("write x: full"), Rings: 3, RingErrors: 2})
	if w.Doorbell != "muenfs events" || w.DoorbellError != "write x: full" || w.Rings != 3 || w.RingErrors != 2 {
		t.Errorf("writer %+v", w)
	}
	r := readerStatus(datapath.InboundStatus{Doorbell: "polling", DoorbellErr: errors.New("no interrupt"), Wakeups: 4, Timeouts: 5})
	if r.Doorbell != "polling" || r.DoorbellError != "no interrupt" || r.Wakeups != 4 || r.Timeouts != 5 {
		t.Errorf("reader %+v", r)
	}
	r = readerStatus(datapath.InboundStatus{Doorbell: "futex"})
	if r.DoorbellError != "" {
		t.Errorf("an error of none: %q", r.DoorbellError)
	}
}

// Two interfaces over the same files find each other's bells.
func TestDoorbellsOfFiles(t *testing.T) {
	l := newLab(t)
	d, far := l.driver(), l.driver()
	back := netHdr("net1")
	back.In, back.Out = "b", "a"
	l.mustLoad(d, netHdr("net0"))
	l.mustLoad(far, back)
	for _, name := range []string{"net0", "net1"} {
		must(t, l.ns.Link().SetUp(l.ns.State(name).Index))
	}
	for _, d := range []*Driver{d, far} {
		testnet.Eventually(t, "futexes both ways", func() bool {
			s := status(t, d)
			return s.Writer.Doorbell == "futex" && s.Writer.DoorbellError == "" && s.Writer.Rings > 0 && s.Reader.Doorbell == "futex" && s.Reader.DoorbellError == ""
		})
	}
}
