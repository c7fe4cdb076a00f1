package driver

import (
	"errors"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/datapath"
	"github.com/muennet/muennet/internal/shortage"
	"github.com/muennet/muennet/internal/skbmark"
	"github.com/muennet/muennet/internal/tuntap"
)

// errNoBPF is why marks are not carried with Options.NoBPF.
var errNoBPF = errors.New("eBPF is switched off")

// marking carries the marks of one device. A direction that does not work is
// nil, and its error says why.
type marking struct {
	out    *skbmark.Outgoing
	queues *datapath.Marks
	outErr error

	in    *incoming
	inErr error
}

// outgoing adds to the slots of skbmark how to wait for packets that are on
// their way into a queue.
type outgoing struct{ *skbmark.Outgoing }

func (outgoing) Grace() error { return skbmark.Grace() }

// openMarks attaches the programs to a device. If the kernel refuses a
// direction, the interface works without it, and the process logs that once. A
// shortage is an error.
func (ep *endpoint) openMarks() error {
	m := &ep.marking
	if ep.d.opt.NoBPF {
		m.outErr, m.inErr = errNoBPF, errNoBPF
	} else {
		m.outErr = ep.openOutgoing(m)
		m.inErr = ep.openIncoming(m)
	}
	for _, err := range []error{m.outErr, m.inErr} {
		if shortage.Is(err) {
			m.close()
			*m = marking{}
			return err
		}
	}
	if m.outErr != nil {
		// An adopted device still has the programs of its old process, which drop
		// every packet with a mark.
		if err := ep.dev.Control(skbmark.Detach); err != nil && ep.adopted {
			ep.log.Warn("marked packets are dropped", "err", err)
		}
	}
	ep.d.warnMarkless(m.outErr, m.inErr)
	return nil
}

func (ep *endpoint) openOutgoing(m *marking) (err error) {
	if m.out, err = skbmark.NewOutgoing(); err != nil {
		return err
	}
	// Before the programs see a packet there must be a queue for its mark.
	if m.queues, err = datapath.NewMarks(outgoing{m.out}, queues{ep.dev, &ep.netdev}, ep.log); err == nil {
		err = ep.dev.Control(m.out.Attach)
	}
	if err != nil {
		m.out.Close()
		m.out, m.queues = nil, nil
	}
	return err
}

func (ep *endpoint) openIncoming(m *marking) error {
	in, err := skbmark.NewIncoming()
	if err == nil {
		m.in = &incoming{Incoming: in, n: &ep.netdev, err: errNoMark}
	}
	return err
}

// warnMarkless logs that a direction carries no marks: once per process,
// however many interfaces it has.
func (d *Driver) warnMarkless(outErr, inErr error) {
	if outErr == nil && inErr == nil {
		return
	}
	d.markless.Do(func() {
		d.opt.Log.Warn("Netfilter marks are not carried between packets and channels", "outgoing", reason(outErr), "incoming", reason(inErr))
	})
}

// reattach follows the device into another namespace.
func (m *marking) reattach() {
	if m.in != nil {
		m.in.reattach()
	}
}

// port returns what a Port needs; nil: received packets get no marks.
func (m *marking) port() datapath.IncomingMarks {
	if m.in == nil {
		return nil
	}
	return m.in
}

// close detaches the programs and frees them; again, it does nothing.
// Forwarders no longer use the device, but events may still come.
func (m *marking) close() {
	if m.out != nil {
		m.out.Close()
		m.out = nil
	}
	if m.in != nil {
		m.in.close()
	}
}

func reason(err error) string {
	if err == nil {
		return "active"
	}
	return err.Error()
}

// status describes both directions.
func (m *marking) status(dev *tuntap.Device, port datapath.PortStatus) *api.Marking {
	s := &api.Marking{Outgoing: reason(m.outErr), Incoming: reason(m.inErr), Queues: dev.Queues(), Unmarked: port.Counters.Unmarked}
	if m.out != nil {
		s.Overflows, s.Mismatches = m.out.Overflows(), m.out.Mismatches()
	}
	switch {
	case port.Suspended:
		s.Incoming = "suspended: packets are not received within their writes, as with RPS (rps_cpus)"
	case m.in != nil:
		s.Incoming = m.in.state()
	}
	return s
}
