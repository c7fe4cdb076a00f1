package driver

import (
	"errors"
	"os"
	"sync"

	"github.com/muennet/muennet/internal/shortage"
	"github.com/muennet/muennet/internal/skbmark"
)

// incoming is an skbmark.Incoming that is attached when the first mark comes.
type incoming struct {
	*skbmark.Incoming
	n *netdev

	mu  sync.Mutex // guards err, and the attachment against moves
	err error      // why it is not attached; errNoMark: not needed yet
}

var errNoMark = errors.New("no mark has come yet")

// Attach attaches the program in the namespace that the device is in.
func (i *incoming) Attach() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if errors.Is(i.err, os.ErrClosed) {
		return i.err
	}
	if i.err = i.attach(); i.err == nil {
		i.err = skbmark.Received()
	}
	if i.err != nil {
		i.n.d.warnMarkless(nil, i.err)
	}
	return i.err
}

func (i *incoming) attach() error {
	index, err := i.n.dev.Index()
	if err != nil {
		return err
	}
	return i.n.inNetNS(func() error { return i.Incoming.Attach(index) })
}

// reattach attaches the program again after a move: a tcx program moves with
// the device, a clsact qdisc does not.
func (i *incoming) reattach() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return
	}
	if err := i.attach(); err != nil {
		i.n.log.Warn("received packets get no marks", "err", err)
	}
}

// Account and Pending are those of the device.
func (i *incoming) Account(on bool) error { return i.n.dev.Account(on) }
func (i *incoming) Pending() bool         { return i.n.dev.Pending() }

// shortage returns the error if the program is not attached because of a
// shortage.
func (i *incoming) shortage() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if shortage.Is(i.err) {
		return i.err
	}
	return nil
}

// state describes the direction.
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

func (i *incoming) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !errors.Is(i.err, os.ErrClosed) {
		i.err = os.ErrClosed
		i.Close()
	}
}
