// Package muennet runs network interfaces whose packets travel through one-way
// shared-memory channels, inside the calling program.
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
// net0 is then an ordinary interface: addresses, routes, up and down are the
// administrator's, or the program's own, business. The program needs
// CAP_NET_ADMIN and /dev/net/tun; what the channels are made of and who the
// peers may be is in docs/protocol.md. The muennet command is this package
// behind a control socket.
//
// A program on fewer than four processors, one above all, should set GOMAXPROCS
// to 4: a goroutine that waits for a channel does so in a system call, in which
// it keeps its place to run, and the others may have to wait for it. The command
// does the same. examples/init is a complete program.
//
// Peers are not trusted: whatever they write into their channel is counted, and
// cannot harm the program or another interface.
//
// # Stability
//
// Until version 1 a minor version may change the Go API, and CHANGELOG.md says so.
// Status keeps what docs/api.md promises. The package runs on Linux only.
package muennet

import (
	"errors"
	"log/slog"
	"time"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/internal/driver"
	"github.com/muennet/muennet/internal/journal"
)

// Status is the state of one interface at one moment, as the control API and
// `muennet show --json` give it.
type Status = api.Interface

// The reasons for which a request is refused; errors wrap these, and those of
// package client wrap the same.
var (
	ErrUnknown  = api.ErrUnknown  // no interface of that name is loaded here
	ErrChild    = api.ErrChild    // a child's name where none is wanted
	ErrHeld     = api.ErrHeld     // AddMark: a child of the same parent holds the mark
	ErrNotHeld  = api.ErrNotHeld  // DeleteMark: the child does not hold the mark
	ErrZeroMark = api.ErrZeroMark // AddMark: 0 stands for no mark
	ErrClosed   = api.ErrClosed   // the Net is closed; Close itself does not return it
)

// DamagedStateError says that a state file could not be understood, and was
// renamed. What it knew is lost: interfaces that were moved to another network
// namespace, or whose alias was changed.
type DamagedStateError struct {
	Path  string // of the state file
	Aside string // what it is called now
	Err   error  // what is wrong with it
}

// Error names both paths and says what is lost.
func (e *DamagedStateError) Error() string { return (*driver.DamagedStateError)(e).Error() }

// Unwrap returns Err.
func (e *DamagedStateError) Unwrap() error { return e.Err }

// Config is what Open needs. The zero value opens a Net without interfaces.
type Config struct {
	// Load holds the interfaces to begin with, and the channel directory for
	// later loads that name none.
	Load Load
	// State is the path of a file that remembers devices, so that after a crash
	// they are found again wherever they have been moved; empty means that they
	// are found in the caller's network namespace only.
	State string
	// Logger receives what an administrator should know; nil means nothing does.
	// It may block: lines wait for it in a queue, and are dropped and counted when
	// there are a thousand and more. Interfaces never wait for it, but Close does,
	// for a second at most.
	Logger *slog.Logger
	// NoBPF loads no eBPF programs: Netfilter marks are not carried, as on a
	// kernel that lacks what they need.
	NoBPF bool
}

// Net is a set of running interfaces. Its methods may be called from any
// goroutine. After Close those that change something return ErrClosed.
type Net struct {
	driver *driver.Driver
	log    *journal.Queue // nil: the caller's own
}

// flushTime is how long Close waits for the log.
const flushTime = time.Second

// Open creates the interfaces of cfg in the network namespace of the calling
// thread. Either all of them exist when it returns or none does. A device that
// an earlier process left behind without a clean stop is taken over together
// with its addresses and routes. A configuration that breaks a rule is a
// *FieldError, as from Load.Validate.
func Open(cfg Config) (*Net, error) {
	n := &Net{}
	if cfg.Logger != nil {
		h := cfg.Logger.Handler()
		if q := journal.NewQueue(h); q != h {
			n.log, cfg.Logger = q, slog.New(q)
		}
	}
	n.driver = driver.New(driver.Options{Channels: cfg.Load.Channels, State: cfg.State, Log: cfg.Logger, NoBPF: cfg.NoBPF})
	if len(cfg.Load.Interfaces) == 0 {
		return n, nil
	}
	if _, err := n.Load(cfg.Load); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// Load adds interfaces, all or none, and returns their names as the kernel
// knows them (a %d in a name has become a number). A configuration that breaks a
// rule is a *FieldError, as from Load.Validate.
func (n *Net) Load(l Load) ([]string, error) {
	names, err := n.driver.Load(l.internal())
	return names, public(err)
}

// Unload stops and removes the named interfaces. Without a name it removes
// nothing, so that a list that happens to be empty is not taken for all. An
// unknown name is an error that wraps ErrUnknown, that of a child one that wraps
// ErrChild; then nothing is removed.
func (n *Net) Unload(names ...string) error { return n.driver.Unload(names...) }

// UnloadAll stops and removes every interface. The Net stays open.
func (n *Net) UnloadAll() error { return n.driver.UnloadAll() }

// AddChild makes the interface child (1 to 15 bytes), which shares the channels
// of the net_hdr interface parent: it sends through the parent's out-channel and
// receives the packets whose mark AddMark gives it. It has the parent's MTU and
// namespace to begin with. An error says what is wrong with either name: ErrUnknown
// is about the parent, ErrChild says that it is a child itself.
func (n *Net) AddChild(parent, child string) error { return n.driver.AddChild(parent, child) }

// DeleteChild removes a child. From the next packet on its marks are the
// parent's.
func (n *Net) DeleteChild(child string) error { return n.driver.DeleteChild(child) }

// AddMark sends the packets of a Netfilter mark, 1 to 2^32-1, to a child. It is
// ErrHeld if that child or another one of the same parent holds it already, and
// ErrZeroMark for 0.
func (n *Net) AddMark(child string, mark uint32) error { return n.driver.AddMark(child, mark) }

// DeleteMark sends the packets of a mark that the child holds to the parent
// again; ErrNotHeld if it does not hold it.
func (n *Net) DeleteMark(child string, mark uint32) error { return n.driver.DeleteMark(child, mark) }

// Status describes every interface, in the order in which they were loaded.
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
// those in the caller's network namespace, known by their alias, and those that
// the state file knows, here and elsewhere. It returns their names. Interfaces
// that a process serves are left alone. A state file that is damaged is set aside,
// and if nothing else is wrong the error is a [DamagedStateError].
func Forget(state string) ([]string, error) {
	names, err := driver.Forget(state)
	var damaged *driver.DamagedStateError
	if errors.As(err, &damaged) {
		err = (*DamagedStateError)(damaged)
	}
	return names, err
}
