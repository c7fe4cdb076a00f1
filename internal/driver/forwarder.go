package driver

import (
	"github.com/muennet/muennet/element"
	"github.com/muennet/muennet/internal/datapath"
	"github.com/muennet/muennet/internal/region"
)

// forwarder is what an end needs of a datapath.Sender or datapath.Inbound.
type forwarder interface {
	// start starts or restarts it, for packets of up to mtu bytes. An
	// error that is a region.ErrFault says that memory is missing.
	start(mtu int) error
	// stop returns when it no longer uses the channel.
	stop()
	// rebind makes a stopped forwarder use another region. On an error it keeps
	// the old one.
	rebind(*region.Region) error
	// mend repairs a channel that something else has written into.
	mend()
	close()
}

// writer is the forwarder of an out-channel.
type writer struct {
	*datapath.Sender
	format element.Format
}

func (w writer) start(mtu int) error {
	w.Stop()
	return w.Start(w.format.Size(mtu))
}

func (w writer) stop()                         { w.Stop() }
func (w writer) rebind(r *region.Region) error { return w.Rebind(r.Bytes()) }
func (w writer) mend()                         { w.Mend() }
func (w writer) close()                        { w.Close() }

// reader is the forwarder of an in-channel.
type reader struct{ *datapath.Inbound }

func (r reader) start(int) error { return r.Resume() }
func (r reader) stop()           { r.Pause() }
func (r reader) mend()           {}
func (r reader) close()          { r.Close() }

func (r reader) rebind(to *region.Region) error {
	r.Pause()
	return r.Rebind(to.Bytes(), to, to.WriterLocked)
}
