package driver

import (
	"errors"

	"github.com/muennet/muennet/internal/datapath"
	"github.com/muennet/muennet/internal/skbmark"
	"github.com/muennet/muennet/internal/tuntap"
)

// errNoBPF is why marks are not carried where Options say so.
var errNoBPF = errors.New("eBPF is switched off")

// marking carries the marks of one device. Either direction may be missing:
// then its error says why.
type marking struct {
	out    *skbmark.Outgoing
	queues *datapath.Marks
	outErr error

	in    *skbmark.Incoming
	inErr error
}

// outgoing joins the slots of skbmark with its way to wait for packets that
// are on the way into a queue.
type outgoing struct{ *skbmark.Outgoing }

func (outgoing) Grace() error { return skbmark.Grace() }

// openMarks attaches the programs to a device. What cannot be had is left out,
// with one warning for the whole process: the interfaces work without.
func (f *followed) openMarks() {
	m := &f.marking
	if f.d.opt.NoBPF {
		m.outErr, m.inErr = errNoBPF, errNoBPF
	} else {
		m.outErr = f.openOutgoing(m)
		m.inErr = f.openIncoming(m)
	}
	if m.outErr != nil {
		// A device that was left behind still has the programs of its old
		// process, which pass nothing that is marked.
		if err := f.dev.Control(skbmark.Detach); err != nil && f.adopted {
			f.log.Warn("marked packets are dropped", "err", err)
		}
	}
	if err := errors.Join(m.outErr, m.inErr); err != nil {
		f.d.markless.Do(func() { // one line, however many interfaces
			f.d.opt.Log.Warn("Netfilter marks are not carried between packets and channels", "outgoing", reason(m.outErr), "incoming", reason(m.inErr))
		})
	}
}

// moved follows the device into another namespace: what a clsact qdisc holds
// stays behind, a tcx program does not.
func (f *followed) moved() {
	if f.marking.in == nil {
		return
	}
	if err := f.attachHere(f.marking.in); err != nil {
		f.log.Warn("marks are not set on received packets", "err", err)
	}
}

func (f *followed) openOutgoing(m *marking) (err error) {
	if m.out, err = skbmark.NewOutgoing(); err != nil {
		return err
	}
	// Before the programs see a packet there must be a queue for its mark.
	if m.queues, err = datapath.NewMarks(outgoing{m.out}, f.dev, f.log); err == nil {
		err = f.dev.Control(m.out.Attach)
	}
	if err != nil {
		m.out.Close()
		m.out, m.queues = nil, nil
	}
	return err
}

// openIncoming attaches the program where the device is now.
func (f *followed) openIncoming(m *marking) (err error) {
	if m.in, err = skbmark.NewIncoming(); err != nil {
		return err
	}
	if err = f.attachHere(m.in); err != nil {
		m.in.Close()
		m.in = nil
	}
	return err
}

func (f *followed) attachHere(in *skbmark.Incoming) error {
	index, err := f.dev.Index()
	if err != nil {
		return err
	}
	return f.inNetNS(func() error { return in.Attach(index) })
}

// port gives what Port wants: nil where received packets get no marks.
func (m *marking) port() datapath.IncomingMarks {
	if m.in == nil {
		return nil
	}
	return m.in
}

func (m *marking) close() {
	if m.out != nil {
		m.out.Close()
	}
	if m.in != nil {
		m.in.Close()
	}
}

func reason(err error) string {
	if err == nil {
		return "active"
	}
	return err.Error()
}

// status describes both directions.
func (m *marking) status(dev *tuntap.Device, port datapath.PortStatus) *Marking {
	s := &Marking{Outgoing: reason(m.outErr), Incoming: reason(m.inErr), Queues: dev.Queues(), Unmarked: port.Counters.Unmarked}
	if m.out != nil {
		s.Overflows, s.Mismatches = m.out.Overflows(), m.out.Mismatches()
	}
	switch {
	case port.Async:
		s.Incoming = "suspended: the interface receives asynchronously, as with RPS (rps_cpus)"
	case m.in != nil:
		s.Incoming = "active (" + m.in.How() + ")"
	}
	return s
}
