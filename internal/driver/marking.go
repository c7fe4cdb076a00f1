package driver

import (
	"errors"
	"os"
	"sync"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/datapath"
	"github.com/muennet/muennet/internal/shortage"
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

	in    *incoming
	inErr error
}

// outgoing joins the slots of skbmark with its way to wait for packets that
// are on the way into a queue.
type outgoing struct{ *skbmark.Outgoing }

func (outgoing) Grace() error { return skbmark.Grace() }

// incoming is an Incoming that is attached when the first mark comes.
type incoming struct {
	*skbmark.Incoming
	f *followed

	mu  sync.Mutex // guards err, and the attachment against moves
	err error      // why it is not attached; errNoMark: nothing needs it yet
}

var errNoMark = errors.New("no mark has come yet")

// Attach attaches the program where the device is now.
func (i *incoming) Attach() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if errors.Is(i.err, os.ErrClosed) {
		return i.err
	}
	if i.err = i.f.attachHere(i.Incoming); i.err == nil {
		i.err = skbmark.Received()
	}
	if i.err != nil {
		i.f.markless(nil, i.err)
	}
	return i.err
}

// Account and Pending are the device's.
func (i *incoming) Account(on bool) error { return i.f.dev.Account(on) }
func (i *incoming) Pending() bool         { return i.f.dev.Pending() }

// follow keeps it attached after a move: what a clsact qdisc holds stays behind,
// a tcx program does not.
func (i *incoming) follow() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return
	}
	if err := i.f.attachHere(i.Incoming); err != nil {
		i.f.log.Warn("marks are not set on received packets", "err", err)
	}
}

// shortage is the error if it is not attached for want of descriptors or memory.
func (i *incoming) shortage() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if shortage.Is(i.err) {
		return i.err
	}
	return nil
}

// state is the direction's in words.
func (i *incoming) state() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.err == nil:
		return "active (" + i.How() + ")"
	case errors.Is(i.err, errNoMark):
		return "active (on demand)"
	}
	return i.err.Error()
}

// openMarks attaches the programs to a device. What cannot be had is left out,
// with one warning for the whole process: the interfaces work without. What only
// has run out is an error.
func (f *followed) openMarks() error {
	m := &f.marking
	if f.d.opt.NoBPF {
		m.outErr, m.inErr = errNoBPF, errNoBPF
	} else {
		m.outErr = f.openOutgoing(m)
		m.inErr = f.openIncoming(m)
	}
	for _, err := range []error{m.outErr, m.inErr} {
		if shortage.Is(err) {
			m.close()
			*m = marking{}
			return err
		}
	}
	if m.outErr != nil {
		// A device that was left behind still has the programs of its old
		// process, which pass nothing that is marked.
		if err := f.dev.Control(skbmark.Detach); err != nil && f.adopted {
			f.log.Warn("marked packets are dropped", "err", err)
		}
	}
	f.markless(m.outErr, m.inErr)
	return nil
}

// markless warns that a direction carries no marks, once for the whole process,
// however many interfaces it has.
func (f *followed) markless(outErr, inErr error) {
	if outErr == nil && inErr == nil {
		return
	}
	f.d.markless.Do(func() {
		f.d.opt.Log.Warn("Netfilter marks are not carried between packets and channels", "outgoing", reason(outErr), "incoming", reason(inErr))
	})
}

// moved follows the device into another namespace.
func (f *followed) moved() {
	if f.marking.in != nil {
		f.marking.in.follow()
	}
}

func (f *followed) openOutgoing(m *marking) (err error) {
	if m.out, err = skbmark.NewOutgoing(); err != nil {
		return err
	}
	// Before the programs see a packet there must be a queue for its mark.
	if m.queues, err = datapath.NewMarks(outgoing{m.out}, queues{f.dev, f}, f.log); err == nil {
		err = f.dev.Control(m.out.Attach)
	}
	if err != nil {
		m.out.Close()
		m.out, m.queues = nil, nil
	}
	return err
}

func (f *followed) openIncoming(m *marking) error {
	in, err := skbmark.NewIncoming()
	if err == nil {
		m.in = &incoming{Incoming: in, f: f, err: errNoMark}
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

// close detaches what is attached and gives it back. Calling it again does
// nothing. The device is in use no more, but events may still come.
func (m *marking) close() {
	if m.out != nil {
		m.out.Close()
		m.out = nil
	}
	if m.in != nil {
		m.in.close()
	}
}

func (i *incoming) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !errors.Is(i.err, os.ErrClosed) {
		i.err = os.ErrClosed
		i.Close()
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
