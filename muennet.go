// Package muennet runs network interfaces over one-way shared-memory channels
// inside the calling program.
//
//	n, err := muennet.Open(muennet.Config{Load: muennet.Load{
//		Interfaces: []muennet.Interface{{
//			Name: "net0", Format: element.NetHdr,
//			In: "channel_in", ReaderProtocol: 2,
//			Out: "channel_out", WriterProtocol: 2,
//		}},
//	}})
//	if err != nil {
//		return err
//	}
//	defer n.Close()
//
// net0 is then an ordinary interface: addresses, routes, up and down are up to
// the administrator, or to the program itself. The program needs CAP_NET_ADMIN
// and /dev/net/tun. docs/protocol.md describes the channels and possible peers.
// The muennet command is this package behind a control socket.
//
// On fewer than four processors, and in particular on one, a program should set
// GOMAXPROCS to 4: a goroutine that waits for a channel does so in a system
// call and keeps its P, so that other goroutines may have to wait for it. The
// command does the same. examples/init is a complete program.
//
// Peers are not trusted: what they write into their channel is counted, and
// cannot harm the program or another interface.
//
// # Stability
//
// Before version 1 a minor version may change the Go API; CHANGELOG.md says so.
// Status keeps what docs/api.md promises. The package runs only on Linux.
package muennet

import (
	"errors"
	"log/slog"
	"time"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/driver"
	"github.com/muennet/muennet/internal/journal"
)

// Status is the current state of an interface, as in the control API and
// `muennet show --json`.
type Status = api.Interface

// The reasons for refusing a request. Errors wrap these, and those of package
// client wrap the same.
var (
	ErrUnknown  = api.ErrUnknown  // no interface of that name is loaded here
	ErrChild    = api.ErrChild    // a child is named where none is allowed
	ErrHeld     = api.ErrHeld     // AddMark: a child of the same parent holds the mark
	ErrNotHeld  = api.ErrNotHeld  // DeleteMark: the child does not hold the mark
	ErrZeroMark = api.ErrZeroMark // AddMark: 0 stands for no mark
	ErrLoaded   = api.ErrLoaded   // Load: an interface is loaded, but otherwise; see LoadedError
	ErrClosed   = api.ErrClosed   // the Net is closed; Close itself does not return it
)

// DamagedStateError says that a state file was damaged and has been renamed.
// Its information is lost: about interfaces that were moved to another network
// namespace or whose alias was changed.
type DamagedStateError struct {
	Path  string // of the state file
	Aside string // its new path
	Err   error  // what is wrong with it
}

// Error returns both paths and says what is lost.
func (e *DamagedStateError) Error() string { return (*driver.DamagedStateError)(e).Error() }

// Unwrap returns Err.
func (e *DamagedStateError) Unwrap() error { return e.Err }

// Config configures Open. The zero value opens a Net without interfaces.
type Config struct {
	// Load holds the initial interfaces, and the channel directory for
	// later loads that name none.
	Load Load
	// State is the path of a file that records devices, so that after a
	// crash they are found wherever they have been moved. Empty means that
	// they are only found in the caller's network namespace.
	State string
	// Logger receives messages for the administrator; nil discards them. It
	// may block: lines wait for it in a queue, and are dropped and counted
	// if the queue exceeds a thousand lines. Interfaces never wait for it.
	// Close does, for at most a second.
	Logger *slog.Logger
	// Deleted, if not nil, is called after interfaces or children have left
	// the Net because an administrator deleted them or their network
	// namespace ended. It must not block, nor call the Net.
	Deleted func()
	// NoBPF disables eBPF programs: Netfilter marks are not carried, as on
	// a kernel without the necessary support.
	NoBPF bool
}

// Net is a set of running interfaces. Any goroutine may call its methods. After
// Close, methods that change something return ErrClosed.
type Net struct {
	driver *driver.Driver
	log    *journal.Queue // nil: the caller's own
}

// flushTime is how long Close waits for the log.
const flushTime = time.Second

// Open creates the interfaces of cfg in the network namespace of the calling
// thread. When it returns, either all of them exist or none. A device that an
// earlier process left behind without a clean stop is taken over, with its
// addresses and routes. The error for an invalid configuration is a
// *FieldError, as from Load.Validate.
func Open(cfg Config) (*Net, error) {
	n := &Net{}
	if cfg.Logger != nil {
		h := cfg.Logger.Handler()
		if q := journal.NewQueue(h); q != h {
			n.log, cfg.Logger = q, slog.New(q)
		}
	}
	n.driver = driver.New(driver.Options{Channels: cfg.Load.Channels, State: cfg.State, Log: cfg.Logger, NoBPF: cfg.NoBPF, Deleted: cfg.Deleted})
	if len(cfg.Load.Interfaces) == 0 {
		return n, nil
	}
	if _, err := n.Load(cfg.Load); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// Load adds interfaces, all or none, and returns their names in the kernel,
// with %d replaced by a number. An interface that is already loaded with the
// same configuration stays as it is, including later changes by an
// administrator. The error for an invalid configuration is a *FieldError, as
// from Load.Validate; for one that differs from what is loaded it is a
// *LoadedError.
func (n *Net) Load(l Load) ([]string, error) {
	names, err := n.driver.Load(l.internal())
	return names, public(err)
}

// Unload stops and removes the named interfaces. Without names it removes
// nothing, so that an empty list does not mean all. If a name is unknown
// (ErrUnknown) or that of a child (ErrChild), nothing is removed.
func (n *Net) Unload(names ...string) error { return n.driver.Unload(names...) }

// UnloadAll stops and removes every interface. The Net stays open.
func (n *Net) UnloadAll() error { return n.driver.UnloadAll() }

// AddChild creates the interface child (1 to 15 bytes), which shares the
// channels of the net_hdr interface parent: it sends through the parent's
// out-channel and receives the packets with the marks given to it by AddMark.
// Initially it has the MTU and the namespace of the parent. ErrUnknown means
// that there is no such parent, ErrChild that the parent is a child itself.
func (n *Net) AddChild(parent, child string) error { return n.driver.AddChild(parent, child) }

// DeleteChild removes a child. From the next packet on its marks belong to the
// parent.
func (n *Net) DeleteChild(child string) error { return n.driver.DeleteChild(child) }

// AddMark directs the packets of a Netfilter mark, 1 to 2^32-1, to a child. The
// error is ErrHeld if a child of the same parent already holds the mark, and
// ErrZeroMark for 0.
func (n *Net) AddMark(child string, mark uint32) error { return n.driver.AddMark(child, mark) }

// DeleteMark directs the packets of a mark of the child back to the parent. The
// error is ErrNotHeld if the child does not hold the mark.
func (n *Net) DeleteMark(child string, mark uint32) error { return n.driver.DeleteMark(child, mark) }

// Status describes all interfaces, in the order in which they were loaded.
func (n *Net) Status() []Status { return n.driver.Status() }

// Close stops the writers and removes all interfaces.
func (n *Net) Close() error {
	err := n.driver.Close()
	if n.log != nil {
		n.log.Flush(flushTime)
	}
	return err
}

// Forget removes interfaces that a process left behind without a clean stop:
// those in the caller's network namespace, recognised by their alias, and those
// in the state file, wherever they are. It returns their names. Interfaces that
// a process is serving are left alone. A damaged state file is renamed; if
// nothing else is wrong, the error is a [DamagedStateError].
func Forget(state string) ([]string, error) {
	names, err := driver.Forget(state)
	var damaged *driver.DamagedStateError
	if errors.As(err, &damaged) {
		err = (*DamagedStateError)(damaged)
	}
	return names, err
}
